"""Which faces there are, and in which order they are tried for which words.

Packaged faces and those of the user's folder only, never the system's: all machines draw alike.
"""

import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

from deployments.errors import InvalidValue
from deployments.postprocess.typesetting import fontfile
from deployments.postprocess.typesetting.fontfile import Face
from deployments.postprocess.typesetting.languages import is_traditional, scripts

KOREAN, JAPANESE = "Noto Sans KR", "Noto Sans JP"
SIMPLIFIED, TRADITIONAL = "Noto Sans SC", "Noto Sans TC"
LATIN = "Noto Sans"  # and Cyrillic and Greek, with every accent

# Family: the package of justmytype's that has it, and how its file's name ends.
_FALLBACK: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        KOREAN: ("intl_cjk", "[wght]"),
        LATIN: ("western_core", "[wdth,wght]"),
        JAPANESE: ("intl_cjk", "[wght]"),
        SIMPLIFIED: ("intl_cjk", "[wght]"),
        TRADITIONAL: ("intl_cjk", "[wght]"),
        "Noto Sans Arabic": ("intl_rtl", "[wdth,wght]"),
        "Noto Sans Hebrew": ("intl_rtl", "[wdth,wght]"),
        "Noto Sans Thai": ("intl_sea", "[wdth,wght]"),
        "Noto Sans Lao": ("intl_sea", "[wdth,wght]"),
        "Noto Sans Khmer": ("intl_sea", "[wdth,wght]"),
        "Noto Sans Myanmar": ("intl_sea", "[wdth,wght]"),
        "Noto Sans Devanagari": ("intl_south_asia", "[wdth,wght]"),
        "Noto Sans Bengali": ("intl_south_asia", "[wdth,wght]"),
        "Noto Sans Tamil": ("intl_south_asia", "[wdth,wght]"),
        "Noto Sans Telugu": ("intl_south_asia", "[wdth,wght]"),
        "Noto Sans Symbols 2": ("western_core", "-Regular"),
    }
)
_ON_REQUEST: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "Inter": ("western_core", "[opsz,wght]"),
        "Noto Serif": ("western_core", "[wdth,wght]"),
        "Source Serif 4": ("western_core", "[opsz,wght]"),
    }
)
_OF_SCRIPT = {
    "Cyrl": LATIN, "Grek": LATIN, "Arab": "Noto Sans Arabic", "Hebr": "Noto Sans Hebrew",
    "Thai": "Noto Sans Thai", "Laoo": "Noto Sans Lao", "Khmr": "Noto Sans Khmer",
    "Mymr": "Noto Sans Myanmar", "Deva": "Noto Sans Devanagari", "Beng": "Noto Sans Bengali",
    "Taml": "Noto Sans Tamil", "Telu": "Noto Sans Telugu",
}  # fmt: skip
_SCRIPT_OF = {
    "ar": "Arab", "fa": "Arab", "ur": "Arab", "he": "Hebr", "iw": "Hebr", "yi": "Hebr",
    "th": "Thai", "lo": "Laoo", "km": "Khmr", "my": "Mymr", "hi": "Deva", "mr": "Deva",
    "ne": "Deva", "bn": "Beng", "ta": "Taml", "te": "Telu",
}  # fmt: skip

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


def order(text: str, lang: str, font: str = "auto") -> tuple[str, ...]:
    """Families in the order they are tried for `text`, those without a part in it left out.

    The chosen one comes first, then the language's or the script's own: Han characters look
    different in Korea, Japan and China. Where the first lacks what Noto Sans has, that comes
    before it, since a word out of two faces looks torn; also before the chosen one, where an
    accent would be taken from another face than its letter (see `torn`).
    """
    own = _own_face(text, lang)
    chosen = font if font != "auto" else own
    first = [chosen, own]
    if font == "auto":
        whole = any(_has(LATIN, char) and not _has(own, char) for char in _visible(text))
    else:
        whole = bool(torn(text, font))
    if whole:
        first.insert(0, LATIN)
    tried = dict.fromkeys((*first, *_FALLBACK, *(face.family for face in _own)))
    return _with_a_part(text, tuple(tried))


def torn(text: str, family: str) -> str:
    """Accented letters that `family` lacks while it has the bare ones, each once, sorted."""
    split = {char: unicodedata.normalize("NFD", char)[0] for char in _visible(text)}
    return "".join(
        sorted(c for c, bare in split.items() if not _has(family, c) and _has(family, bare))
    )


def missing(text: str, families: tuple[str, ...]) -> str:
    """The visible characters of `text` that none of `families` can show, each once, sorted."""
    return "".join(
        sorted(c for c in _visible(text) if not any(_has(family, c) for family in families))
    )


def without(text: str, characters: str) -> str:
    """`text` less `characters` and the joiners and selectors that would be left dangling."""
    if not characters:
        return text
    gone = set(characters) | {"\u200d", "\ufe0e", "\ufe0f"}
    return "".join(char for char in text if char not in gone)


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
        script = found[0] if found else _SCRIPT_OF.get(tag.split("-")[0])
        if script:
            return _OF_SCRIPT[script]
    return KOREAN


def _with_a_part(text: str, tried: tuple[str, ...]) -> tuple[str, ...]:
    left = _visible(text)
    kept = []
    for family in tried:
        found = {char for char in left if _has(family, char)}
        if found:
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
        folder = files(f"justmytype_{package}")
    except ModuleNotFoundError as error:
        needed = f"justmytype-{package.replace('_', '-')}"
        raise RuntimeError(f"The face {family} is missing: install {needed}.") from error
    path = folder / "fonts" / "ofl" / name.lower() / f"{name}{ending}.ttf"
    return fontfile.read_face(Path(str(path)))


@lru_cache
def _characters(path: Path) -> frozenset[int]:
    return fontfile.characters(path)
