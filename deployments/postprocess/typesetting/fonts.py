"""Which faces there are, and in which order they are tried for which words.

Packaged faces and those of the user's folder only, never the system's: all machines draw alike.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

import regex

from deployments.errors import InvalidValue
from deployments.postprocess.typesetting import fontfile
from deployments.postprocess.typesetting.breaks import clusters
from deployments.postprocess.typesetting.fontfile import Face
from deployments.postprocess.typesetting.languages import is_traditional, script_of, scripts

KOREAN, JAPANESE = "Noto Sans KR", "Noto Sans JP"
SIMPLIFIED, TRADITIONAL = "Noto Sans SC", "Noto Sans TC"
EMOJI = "Noto Emoji"  # in ink; faces with colours come before it
LATIN = "Noto Sans"  # and Cyrillic and Greek, with every accent

# Family: the package that has it, and how its file's name ends.
_FALLBACK: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        KOREAN: ("justmytype_intl_cjk", "[wght]"),
        LATIN: ("justmytype_western_core", "[wdth,wght]"),
        JAPANESE: ("justmytype_intl_cjk", "[wght]"),
        SIMPLIFIED: ("justmytype_intl_cjk", "[wght]"),
        TRADITIONAL: ("justmytype_intl_cjk", "[wght]"),
        "Noto Sans Arabic": ("justmytype_intl_rtl", "[wdth,wght]"),
        "Noto Sans Hebrew": ("justmytype_intl_rtl", "[wdth,wght]"),
        "Noto Sans Thai": ("justmytype_intl_sea", "[wdth,wght]"),
        "Noto Sans Lao": ("justmytype_intl_sea", "[wdth,wght]"),
        "Noto Sans Khmer": ("justmytype_intl_sea", "[wdth,wght]"),
        "Noto Sans Myanmar": ("justmytype_intl_sea", "[wdth,wght]"),
        "Noto Sans Devanagari": ("justmytype_intl_south_asia", "[wdth,wght]"),
        "Noto Sans Bengali": ("justmytype_intl_south_asia", "[wdth,wght]"),
        "Noto Sans Tamil": ("justmytype_intl_south_asia", "[wdth,wght]"),
        "Noto Sans Telugu": ("justmytype_intl_south_asia", "[wdth,wght]"),
        "Noto Sans Gujarati": ("manimgx_fonts", "[wght]"),
        "Noto Sans Gurmukhi": ("manimgx_fonts", "[wght]"),
        "Noto Sans Kannada": ("manimgx_fonts", "[wght]"),
        "Noto Sans Malayalam": ("manimgx_fonts", "[wght]"),
        "Noto Sans Oriya": ("manimgx_fonts", "[wght]"),
        "Noto Sans Sinhala": ("manimgx_fonts", "[wght]"),
        "Noto Sans Georgian": ("manimgx_fonts", "[wght]"),
        "Noto Sans Armenian": ("manimgx_fonts", "[wght]"),
        "Noto Sans Ethiopic": ("justmytype_intl_africa", "[wdth,wght]"),
        "Noto Sans Symbols 2": ("justmytype_western_core", "-Regular"),
        "Noto Sans Symbols": ("manimgx_fonts", "[wght]"),
        EMOJI: ("manimgx_fonts", "[wght]"),
    }
)
_SYMBOLS = ("Noto Sans Symbols 2", "Noto Sans Symbols")
_LETTERS = tuple(family for family in _FALLBACK if family not in (EMOJI, *_SYMBOLS))
_ON_REQUEST: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "Inter": ("justmytype_western_core", "[opsz,wght]"),
        "Noto Serif": ("justmytype_western_core", "[wdth,wght]"),
        "Source Serif 4": ("justmytype_western_core", "[opsz,wght]"),
    }
)
_OF_SCRIPT = {
    "Cyrl": LATIN, "Grek": LATIN, "Arab": "Noto Sans Arabic", "Hebr": "Noto Sans Hebrew",
    "Thai": "Noto Sans Thai", "Laoo": "Noto Sans Lao", "Khmr": "Noto Sans Khmer",
    "Mymr": "Noto Sans Myanmar", "Deva": "Noto Sans Devanagari", "Beng": "Noto Sans Bengali",
    "Taml": "Noto Sans Tamil", "Telu": "Noto Sans Telugu", "Gujr": "Noto Sans Gujarati",
    "Guru": "Noto Sans Gurmukhi", "Knda": "Noto Sans Kannada", "Mlym": "Noto Sans Malayalam",
    "Orya": "Noto Sans Oriya", "Sinh": "Noto Sans Sinhala", "Geor": "Noto Sans Georgian",
    "Armn": "Noto Sans Armenian", "Ethi": "Noto Sans Ethiopic",
}  # fmt: skip
# Emoji that are one picture only whole: keycaps, flags, and what joiners and skin tones make.
_SEQUENCE = regex.compile(
    "\u20e3|\u200d\\p{Emoji}|[\U0001f1e6-\U0001f1ff\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]"
)

_own: tuple[Face, ...] = ()


def use_folder(folder: str | None) -> None:
    """Take the fonts below `folder` beside the packaged ones, in this process, from now on.

    Raises ValueError as `read_own` does.
    """
    global _own
    _own = read_own(folder) if folder is not None else ()
    coverage.cache_clear()
    baseline.cache_clear()


def read_own(folder: str) -> tuple[Face, ...]:
    """The user's faces; raises ValueError naming a file that cannot be used, or is packaged."""
    own = fontfile.read_folder(Path(folder).expanduser())
    for face in own:
        if face.family in _FALLBACK or face.family in _ON_REQUEST:
            raise ValueError(f"{face.path}: {face.family} is packaged already; take the file out")
    return own


def faces() -> tuple[Face, ...]:
    """Every face, the packaged ones first. Raises RuntimeError naming a package that is missing."""
    return (*_packaged(), *_own)


def of_family(family: str) -> tuple[Face, ...]:
    """The files of a family, the lightest first."""
    return tuple(face for face in faces() if face.family == family)


def coloured(families: tuple[str, ...]) -> bool:
    """Whether any of `families` has little pictures for glyphs."""
    return any(face.colour for face in _own if face.family in families)


def choices() -> tuple[str, ...]:
    """The families that a layer may ask for by name."""
    return tuple(dict.fromkeys(face.family for face in faces() if not face.colour))


def described() -> dict[str, dict[str, str | bool | None]]:
    """Each family's weights, such as "100-900" or "400, 700", its licence, and whose it is."""
    families: dict[str, dict[str, str | bool | None]] = {}
    for family in dict.fromkeys(face.family for face in faces()):
        files_of = of_family(family)
        weights = dict.fromkeys("-".join(map(str, dict.fromkeys(f.weights))) for f in files_of)
        families[family] = {
            "weights": ", ".join(weights),
            "licence": files_of[0].licence,
            "packaged": files_of[0] not in _own,
        }
    return families


def check(font: str, param: str) -> None:
    """Raise InvalidValue naming all there are unless `font` is "auto" or one of `choices`."""
    if font != "auto" and font not in choices():
        raise InvalidValue(
            f"{param}: there is no font {font!r}; choose auto or one of {', '.join(choices())}",
            param,
            "unknown_font",
        )


def nearest_weight(family: str, weight: int) -> int:
    """The weight that `family` has nearest to `weight`; of two, the bolder."""
    spans = [face.weights for face in of_family(family)]
    nearest = [min(max(weight, least), greatest) for least, greatest in spans]
    return min(nearest, key=lambda own: (abs(own - weight), -own))


def advert_face(layers: Iterable[tuple[str, str]], lang: str) -> str:
    """The one face for the Latin letters and figures of an advert in `lang`, of whose layers each
    is (words, language): Noto Sans as soon as one layer needs it."""
    if any(_needs_latin(text, _own_face(text, own)) for text, own in layers):
        return LATIN
    return _own_face("", lang)


def order(text: str, lang: str, font: str = "auto", around: str | None = None) -> tuple[str, ...]:
    """Families in the order they are tried for `text`, those without a part in it left out.

    The chosen one comes first, then the language's or the script's own: Han characters look
    different in Korea, Japan and China. Where the first lacks what Noto Sans has, that comes
    before it, since a word out of two faces looks torn; also before the chosen one, where an
    accent would be taken from another face than its letter (see `torn`). `around`: the advert's
    face, which sets what Latin letters and figures it can.
    """
    own = _own_face(text, lang)
    letters = scripts(text)
    if around and not letters.keys() - {"Latn"} and not missing(text, (around,)):
        own = around
    first = [font if font != "auto" else own, own]
    if font == "auto":
        whole = _needs_latin(text, own) or (around == LATIN and letters["Latn"] > 0)
    else:
        whole = bool(torn(text, font))
    if whole:
        first.insert(0, LATIN)
    coloured_faces = [face.family for face in _own if face.colour]
    others = [face.family for face in _own]
    # Symbols come behind emoji, which they have parts of.
    tried = dict.fromkeys((*first, *_LETTERS, *coloured_faces, EMOJI, *_SYMBOLS, *others))
    return _with_a_part(text, tuple(tried))


def torn(text: str, family: str) -> str:
    """Accented letters that `family` lacks while it has the bare ones, each once, sorted."""
    split = {char: unicodedata.normalize("NFD", char)[0] for char in _visible(text)}
    return "".join(
        sorted(c for c, bare in split.items() if not _has(family, c) and _has(family, bare))
    )


def missing(text: str, families: tuple[str, ...]) -> str:
    """The visible characters of `text` that none of `families` can show, each once, sorted; of an
    emoji that is a sequence all, where no face has the whole."""
    gone = {c for c in _visible(text) if not any(_has(family, c) for family in families)}
    if _SEQUENCE.search(text):
        for cluster in set(clusters(text)):
            gone |= _lost(cluster, families)
    return "".join(sorted(gone))


def without(text: str, families: tuple[str, ...]) -> str:
    """`text` less what none of `families` can show, and the joiners and selectors that would be
    left dangling."""
    kept = []
    for cluster in clusters(text):
        lost = _lost(cluster, families)
        left = "".join(char for char in cluster if char not in lost)
        kept.append(left if not lost or _visible(left) else "")
    return "".join(kept)


def plainer(characters: str) -> dict[int, str]:
    """What may stand for characters that no face has: their compatibility forms (NFKC), as of
    mathematical letters, where a face has those."""
    forms = {char: unicodedata.normalize("NFKC", char) for char in characters}
    every = tuple(_FALLBACK)
    return {ord(c): form for c, form in forms.items() if form != c and not missing(form, every)}


def _lost(cluster: str, families: tuple[str, ...]) -> set[str]:
    seen = _visible(cluster)
    if len(seen) > 1 and _SEQUENCE.search(cluster):
        whole = any(_is_emoji(one) and all(_has(one, c) for c in seen) for one in families)
        return set() if whole else seen
    return {char for char in seen if not any(_has(family, char) for family in families)}


def _is_emoji(family: str) -> bool:
    """Whether it makes one picture of a sequence; others have its parts at most, such as a key
    without the digit."""
    return family == EMOJI or coloured((family,))


def _needs_latin(text: str, own: str) -> bool:
    """Whether Noto Sans has letters of `text` that its own face lacks, or is that face."""
    return own == LATIN or any(_has(LATIN, c) and not _has(own, c) for c in _visible(text))


@lru_cache
def baseline(family: str) -> float:
    """How far, in ems, the baseline of `family` lies below the middle of its line box."""
    return fontfile.baseline(of_family(family)[0].path)


@lru_cache
def coverage(family: str) -> frozenset[int]:
    """The code points that every file of `family` has glyphs for."""
    return frozenset.intersection(*(_characters(face.path) for face in of_family(family)))


def _own_face(text: str, lang: str) -> str:
    tag = lang.lower()
    if tag.startswith("ja"):
        return JAPANESE
    if tag.startswith("zh"):
        return TRADITIONAL if is_traditional(tag) else SIMPLIFIED
    if not tag.startswith("ko"):
        found = [script for script, _ in scripts(text).most_common() if script in _OF_SCRIPT]
        script = found[0] if found else script_of(tag)
        if script in _OF_SCRIPT:
            return _OF_SCRIPT[script]
    return KOREAN


def _with_a_part(text: str, tried: tuple[str, ...]) -> tuple[str, ...]:
    left = _visible(text)
    sequences = _SEQUENCE.search(text) is not None
    kept = []
    for family in tried:
        if not (left or sequences):
            break
        found = {char for char in left if _has(family, char)}
        if found or (sequences and _is_emoji(family)):
            kept.append(family)
            left -= found
    return tuple(kept) or tried[:1]


def _has(family: str, char: str) -> bool:
    return ord(char) in coverage(family)


def _visible(text: str) -> set[str]:
    return {char for char in text if not _is_invisible(char)}


@lru_cache(maxsize=8192)
def _is_invisible(char: str) -> bool:
    is_format = unicodedata.category(char) in ("Cc", "Cf") or char in "\u034f\u180b\u180c\u180d"
    selects = "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"
    return char.isspace() or is_format or selects


@lru_cache
def _packaged() -> tuple[Face, ...]:
    return tuple(
        _from_package(family, *where) for family, where in {**_FALLBACK, **_ON_REQUEST}.items()
    )


def _from_package(family: str, package: str, ending: str) -> Face:
    name = family.replace(" ", "")
    try:
        folder = Path(str(files(package)))
    except ModuleNotFoundError as error:
        needed = package.replace("_", "-")
        raise RuntimeError(f"The face {family} is missing: install {needed}.") from error
    below = folder / "fonts" / "ofl" / name.lower()
    return fontfile.read_face((below if below.is_dir() else folder) / f"{name}{ending}.ttf")


@lru_cache
def _characters(path: Path) -> frozenset[int]:
    return fontfile.characters(path)
