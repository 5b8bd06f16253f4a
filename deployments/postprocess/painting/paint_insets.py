"""Insets painted: shadows under it, a plate where a logo would not be seen, its own pixels.

Pixels that an artwork hides wholly come out as they were given (or resampled), bit for bit.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.postprocess.canvas import Tile, contrast, masks
from deployments.postprocess.painting.paint import Paint, paint
from deployments.postprocess.placing import PlacedInset, edge
from deployments.postprocess.schema import (
    BLACK,
    WHITE,
    Colour,
    ImageLayer,
    InsetReport,
    QrLayer,
    contrast_between,
    parse_hex,
    to_hex,
)
from deployments.postprocess.typesetting import drawing

_SEEN = 2.0  # ratio that three quarters of a logo's edge should have to its ground
_SEEN_PERCENTILE = 25
_PLATE_ALPHAS = (0.35, 0.5, 0.65, 0.8, 0.92, 1.0)
_PLATE_PADDING, _PLATE_RADIUS = 0.22, 0.2  # of a logo's shorter side
_SHADE: Colour = (8, 6, 4)
_SOFT, _CONTACT = 0.38, 0.75  # the shadows' alphas
_SHADOW_SIDE = 320  # a shadow is soft: it is drawn small and enlarged


def shade(pixels: NDArray[np.uint8], one: PlacedInset) -> None:
    """Paint the shadow of an artwork on `pixels`, uint8 (H, W, 3), in place."""
    kind = one.art.shadow
    if kind == "none":
        return
    width, height = int(one.rect.width), int(one.rect.height)
    alpha = one.art.pixels[..., 3]
    scale = min(1.0, _SHADOW_SIDE / max(width, height))
    size = max(4, round(width * scale)), max(4, round(height * scale))
    small = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), np.uint8)
    pad = max(2, round(0.3 * max(small.shape)))
    mask = _contact(small, pad) if kind == "contact" else _soft(small, pad)
    across, down = width / small.shape[1], height / small.shape[0]
    size = round(mask.shape[1] * across), round(mask.shape[0] * down)
    whole = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    tile = Tile(whole, round(one.rect.x - pad * across), round(one.rect.y - pad * down))
    paint(pixels, Paint(tile, _SHADE, (_CONTACT if kind == "contact" else _SOFT) * _opacity(one)))


def lay(pixels: NDArray[np.uint8], one: PlacedInset) -> tuple[InsetReport, list[str]]:
    """Paint an artwork on `pixels`, uint8 (H, W, 3), in place; the report, and problems."""
    left, top, right, bottom = one.rect.pixels()
    region = pixels[top:bottom, left:right]
    drawn = one.art.drawn(right - left, bottom - top)
    seen, plate, plate_alpha, problems = None, None, 0.0, []
    if isinstance(one.art.layer, QrLayer):
        dark, light = parse_hex(one.art.layer.dark), parse_hex(one.art.layer.light)
        seen = contrast_between(dark, light)
    elif one.art.kind == "logo" and edge(drawn[..., 3]).any():
        seen = _seen(region, drawn, _opacity(one))
        if seen < _SEEN:
            colour, plate_alpha = _plate(region, drawn, _opacity(one))
            paint(pixels, Paint(_plate_tile(one), colour, plate_alpha))
            plate, seen = to_hex(colour), _seen(region, drawn, _opacity(one))
        if seen < _SEEN:
            problems.append(f"{one.art.name}: hard to tell from its ground; move or recolour it")
    region[...] = _over(region, drawn, _opacity(one))
    report = InsetReport(
        index=one.art.index,
        type=one.art.layer.type,
        kind=one.art.kind,
        box=(left, top, right - left, bottom - top),
        scale=round((right - left) / one.art.pixels.shape[1], 3),
        contrast=None if seen is None else round(seen, 2),
        plate=plate,
        plate_alpha=plate_alpha,
    )
    return report, problems


def _opacity(one: PlacedInset) -> float:
    return one.art.layer.opacity if isinstance(one.art.layer, ImageLayer) else 1.0


def _over(ground: NDArray[np.uint8], drawn: NDArray[np.uint8], opacity: float) -> NDArray[np.uint8]:
    """`drawn`, uint8 (h, w, 4), over `ground` (h, w, 3); exact where it is opaque."""
    weight = drawn[..., 3:].astype(np.float32) * (opacity / 255)
    mixed = ground + (drawn[..., :3].astype(np.float32) - ground) * weight
    return (mixed + 0.5).astype(np.uint8)


def _seen(ground: NDArray[np.uint8], drawn: NDArray[np.uint8], opacity: float) -> float:
    """How well an edge is told from what it lies on."""
    rim = edge(drawn[..., 3])
    under = ground[rim][:, None]
    shown = _over(under, drawn[rim][:, None], opacity)
    ratios = contrast.ratio(contrast.luminance(shown), contrast.luminance(under))
    return float(np.percentile(ratios, _SEEN_PERCENTILE))


def _plate(
    ground: NDArray[np.uint8], drawn: NDArray[np.uint8], opacity: float
) -> tuple[Colour, float]:
    """The plate of the least alpha on which the logo is seen, or the best there is."""
    whole = np.full(ground.shape[:2], 255, np.uint8)
    best: tuple[float, Colour, float] = (0.0, WHITE, 1.0)
    for alpha in _PLATE_ALPHAS:
        for colour in (WHITE, BLACK):
            seen = _seen(masks.blend(ground, whole, colour, alpha), drawn, opacity)
            best = max(best, (seen, colour, alpha), key=lambda one: one[0])
        if best[0] >= _SEEN:
            break
    return best[1], best[2]


def _plate_tile(one: PlacedInset) -> Tile:
    short = min(one.rect.width, one.rect.height)
    box = one.rect.grow(min(_PLATE_PADDING * short, one.rect.x - one.clear.x))
    return drawing.rounded(box.x, box.y, box.width, box.height, _PLATE_RADIUS * short)


def _soft(alpha: NDArray[np.uint8], pad: int) -> NDArray[np.uint8]:
    """The silhouette, blurred and a little lower."""
    reach = 0.045 * max(alpha.shape)
    moved = np.pad(alpha, pad)
    moved = np.roll(moved, round(0.8 * reach), axis=0)
    return np.asarray(cv2.GaussianBlur(moved, (0, 0), reach), np.uint8)


def _contact(alpha: NDArray[np.uint8], pad: int) -> NDArray[np.uint8]:
    """Darkness where its foot meets the ground: a narrow core within a wide, faint one."""
    rows = np.flatnonzero((alpha >= 128).any(axis=1))
    if not len(rows):
        return np.zeros((alpha.shape[0] + 2 * pad, alpha.shape[1] + 2 * pad), np.uint8)
    foot_row = int(rows[-1])
    foot = alpha[max(0, foot_row - max(1, alpha.shape[0] // 12)) : foot_row + 1].max(axis=0)
    profile = np.pad(foot.astype(np.float32) / 255, pad)[None]
    width = max(4.0, float(profile.sum()))
    down = np.arange(alpha.shape[0] + 2 * pad, dtype=np.float32)[:, None] - (foot_row + pad)
    mask = np.zeros((down.size, profile.size), np.float32)
    for strength, across, deep in ((0.85, 0.02, 0.03), (0.5, 0.1, 0.1)):
        spread = cv2.GaussianBlur(profile, (0, 0), max(0.6, across * width))
        sigma = max(0.8, deep * width)
        mask += strength * np.asarray(spread) * np.exp(-(down**2) / (2 * sigma**2))
    return (255 * np.clip(mask, 0, 1) + 0.5).astype(np.uint8)
