"""Which language words are in: told by their script, by telling letters, by a detector.

Languages are BCP 47 tags. An advert has one, and a layer follows it unless its letters say
otherwise: a line of Han characters in a Japanese advert is Japanese, a brand in Latin letters
makes a Korean one no less Korean.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Protocol

from fontTools.unicodedata import script

_LANGUAGE = {
    "Hang": "ko", "Hira": "ja", "Kana": "ja", "Hani": "zh-Hans", "Thai": "th", "Arab": "ar",
    "Hebr": "he", "Deva": "hi", "Cyrl": "ru", "Grek": "el", "Latn": "en", "Beng": "bn",
    "Taml": "ta", "Telu": "te", "Laoo": "lo", "Khmr": "km", "Mymr": "my", "Gujr": "gu",
    "Guru": "pa", "Knda": "kn", "Mlym": "ml", "Orya": "or", "Sinh": "si", "Geor": "ka",
    "Armn": "hy", "Ethi": "am", "Tibt": "bo",
}  # fmt: skip
# Letters beyond those that all languages of the script share. One that is in no language's list
# tells nothing; a language whose list lacks one is ruled out.
_LETTERS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "Latn": {
            "en": "éèêïñç", "de": "äöüßé", "fr": "àâæçéèêëîïôœùûüÿ", "es": "áéíñóúü",
            "it": "àèéìíòóùú", "pt": "àáâãçéêíóôõúü", "nl": "áéèëíïóöúü", "pl": "ąćęłńóśźż",
            "cs": "áčďéěíňóřšťúůýž", "sk": "áäčďéíĺľňóôŕšťúýž", "sv": "åäöé", "da": "æøåé",
            "no": "æøåéòô", "fi": "äöå", "tr": "çğıöşüâîû\u0307", "hu": "áéíóöőúüű",
            "ro": "ăâîșțşţ", "id": "é", "ms": "", "vi": "àáảãạăằắẳẵặâầấẩẫậđèéẻẽẹêềếểễệìíỉĩị"
            "òóỏõọôồốổỗộơờớởỡợùúủũụưừứửữựỳýỷỹỵ", "hr": "čćđšž", "sl": "čšž", "lt": "ąčęėįšųūž",
            "lv": "āčēģīķļņšūž", "et": "äõöüšž", "ca": "àçèéíïòóúü·", "is": "áðéíóúýþæö",
        },
        "Cyrl": {
            "ru": "ёъыэ", "uk": "ґєії", "be": "ёіўыэ", "bg": "ъ", "sr": "ђјљњћџ",
            "mk": "ѓѕјљњќџ", "kk": "ёъыэәғқңөұүһі", "ky": "ёъыэңөү", "mn": "ёъыэөү",
        },
        "Arab": {
            "ar": "كيىةأإؤ", "fa": "پچژگکیأؤ", "ur": "پچژگکیٹڈڑںےھہؤ", "ps": "پچژګکېۍټډړښڅځڼۀ",
        },
        "Deva": {"hi": "", "mr": "ळ", "ne": ""},
    }
)  # fmt: skip
# Of the others hardly a line is without letters of their own.
_PLAIN = frozenset(
    ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "cs", "sv", "da", "no", "fi", "tr", "hu", "ro",
     "id", "ms", "vi", "ru", "uk", "bg", "ar", "fa", "ur", "hi", "mr", "ne")
)  # fmt: skip
_TELLING = {name: frozenset("".join(by.values())) for name, by in _LETTERS.items()}
_EAST_ASIAN = frozenset({"Hang", "Hira", "Kana", "Hani", "Bopo"})
_SURE = 5.0  # how much likelier (in nats) another language must be than its script's usual one
_BRANDS = 2 / 3  # what a Latin letter weighs: brands and borrowed words are in them everywhere
# Marks that only Japanese writes among Han characters.
_JAPANESE = frozenset("々〆ヶー・")


@lru_cache(maxsize=1024)
def guess(text: str, around: str | None = None) -> str:
    """The language of `text`; where its letters leave it open, `around`, the language that is
    known of its advert; English where there is neither.

    Any Hangul means Korean and any kana Japanese, since both mix with Han and Latin.
    """
    counts = scripts(text)
    kana = counts["Hira"] + counts["Kana"]
    if counts["Hang"] or kana:
        return "ko" if counts["Hang"] >= kana else "ja"
    if not counts:
        return around or "en"
    if counts["Hani"]:
        return _of_han(text, around)
    weights = {name: n * (_BRANDS if name == "Latn" else 1.0) for name, n in counts.items()}
    main = max(weights, key=lambda name: weights[name])
    own = script_of(around) if around else ""
    if around and counts[own] and main in (own, "Latn") and not _ruled_out(text, own, around):
        return around
    if main in _LETTERS:
        return _detected(text, main)
    return _LANGUAGE.get(main, around or "en")


def of_advert(layers: Iterable[tuple[str, str | None]]) -> str:
    """The language of an advert's layers, (words, the language that the client says): that of
    all words together that are not said to be in one, else the first that is said."""
    rest, said = "", None
    for words, lang in layers:
        said = said or lang
        rest += "" if lang else words + "\n"
    return guess(rest, said)


@lru_cache(maxsize=1024)
def scripts(text: str) -> Counter[str]:
    """How many letters of each script, by ISO 15924 codes; digits and the like are of none."""
    return Counter(name for name in map(_script, text) if name)


def script_of(lang: str) -> str:
    """The script that a language is written in, by its ISO 15924 code; Latin for most."""
    tag = lang.lower().split("-")[0]
    for name, by_language in _LETTERS.items():
        if tag in by_language:
            return name
    return next((name for name, of in _LANGUAGE.items() if of.split("-")[0] == tag), "Latn")


def is_traditional(lang: str) -> bool:
    """Whether the tag of a Chinese language means traditional characters."""
    tag = lang.lower()
    return tag in ("zh-hant", "zh-tw", "zh-hk", "zh-mo", "yue") or tag.startswith("zh-hant-")


def _of_han(text: str, around: str | None) -> str:
    """Han characters alone. National character sets tell the forms of one country from another's:
    GB 2312 has the simplified ones, Big5 the traditional, JIS X 0208 Japan's."""
    tag = (around or "").lower().split("-")[0]
    if tag in ("ja", "ko"):
        return around or tag
    han = [char for char in text if _script(char) == "Hani" or char in _JAPANESE]
    simplified, traditional = _count(han, "gb2312", "big5"), _count(han, "big5", "gb2312")
    japanese = sum(char in _JAPANESE for char in han)
    japanese += sum(not (_in(c, "gb2312") or _in(c, "big5")) and _in(c, "shift_jis") for c in han)
    mixed = simplified and traditional and all(_in(char, "shift_jis") for char in han)
    if mixed or (japanese and japanese >= traditional):
        return "ja"
    other = simplified if is_traditional(around or "") else traditional
    if tag in ("zh", "yue") and around and not other:
        return around
    return "zh-Hant" if traditional > simplified else "zh-Hans"


def _count(chars: Iterable[str], inside: str, outside: str) -> int:
    return sum(_in(char, inside) and not _in(char, outside) for char in chars)


@lru_cache(maxsize=16_384)
def _in(char: str, charset: str) -> bool:
    try:
        char.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


def _ruled_out(text: str, name: str, lang: str) -> bool:
    """Whether letters of `text` are another language's of the same script."""
    own = _LETTERS.get(name, {}).get(lang.lower().split("-")[0])
    telling = _TELLING.get(name, frozenset()) & set(text.lower())
    return own is not None and bool(telling - set(own))


def warm() -> None:
    """Load the detector, which takes most of a second."""
    _identifier()


@lru_cache(maxsize=1024)
def _detected(text: str, name: str) -> str:
    """The likeliest of the script's languages whose letters all these are."""
    words = "".join(c if _script(c) == name or c.isspace() or c == "’" else " " for c in text)
    telling = _TELLING[name] & set(words.lower())
    usual = {lang: own for lang, own in _LETTERS[name].items() if telling or lang in _PLAIN}
    fitting = [lang for lang, own in usual.items() if telling <= set(own)]
    if len(fitting) == 1:
        return fitting[0]
    scores = dict(_identifier().rank(words))
    best = max(fitting or usual, key=lambda lang: scores[lang])
    usual_one = _LANGUAGE[name]
    doubtful = usual_one in fitting and scores[best] < scores[usual_one] + _SURE
    return usual_one if doubtful else best


class _Identifier(Protocol):
    def rank(self, text: str) -> list[tuple[str, float]]: ...


@lru_cache
def _identifier() -> _Identifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier: _Identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    return identifier


@lru_cache(maxsize=8192)
def _script(char: str) -> str:
    """The ISO 15924 code of a letter; empty for what is none."""
    return script(char) if unicodedata.category(char)[0] == "L" else ""
