"""What is told of a finished advert: of every layer of words, of every inset, of the file."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LayerReport:
    """What became of one layer. box: (left, top, width, height) in pixels of the canvas, pill
    included. contrast_p10: 10th percentile of the WCAG ratio under and around its glyphs, of the
    worst of its fills. fill: all its fills as CSS writes them."""

    index: int
    role: str
    lines: tuple[str, ...]
    lang: str
    font: str
    box: tuple[int, int, int, int]
    font_size_px: float
    fill: str
    contrast_p10: float
    backing: str
    backing_alpha: float
    missing_glyphs: str


@dataclass(frozen=True, slots=True)
class InsetReport:
    """What became of an image or QR layer. box: (left, top, width, height) in pixels of the
    canvas. scale: pixels drawn for each one given; of a QR code, pixels a module. contrast: the
    25th percentile of the ratio between a logo's edge and its ground, of a QR code that of its
    colours, otherwise None. plate: what was laid under a logo to be seen."""

    index: int
    type: str
    kind: str
    box: tuple[int, int, int, int]
    scale: float
    contrast: float | None = None
    plate: str | None = None
    plate_alpha: float = 0.0


@dataclass(frozen=True, slots=True)
class OverlayReport:
    """Every drawn layer of words in the spec's order, the AI label last; insets: every image and
    QR code in that order. What is not here was left out."""

    width: int
    height: int
    safe_area: tuple[int, int, int, int]
    layers: tuple[LayerReport, ...]
    insets: tuple[InsetReport, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """An advert as a file. placement, layout: as asked for. timings_ms: wall milliseconds of place,
    overlay and file."""

    data: bytes
    media_type: str
    width: int
    height: int
    placement: str | None = None
    layout: int = 0
    report: OverlayReport | None = None
    warnings: tuple[str, ...] = ()
    timings_ms: dict[str, float] = field(default_factory=dict)
