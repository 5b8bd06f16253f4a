"""The subject of a photograph told from its ground: by a segmentation model, where one is
plugged in; else by the colours of the photograph's border, then by GrabCut."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.postprocess.canvas import subject
from deployments.postprocess.intake.segmentation import Segmenter

_LONG_SIDE = 384  # GrabCut's cost grows with the pixels, its answer hardly does
_MATTE_SIDE = 1536  # edges are followed at this size
_GROUND, _SUBJECT, _SURE = 0.07, 0.25, 0.6  # distances from the border's colours, 0 to 1
_CALM = 6.0  # levels a pixel; the ground is plain where nine tenths of its border change less
_LIKELY = 0.5  # saliency from which a segmentation model's pixel is the subject's
_BORDER = 24  # parts of the short side, of which the border takes one at each side
_ROUNDS, _NO_BOX = 5, (0, 0, 0, 0)
_FOOT = 0.2  # of a subject's height, in which the shadow that it casts is looked for
_SHADE_CHROMA, _SHADE_STEP = 7.0, 6  # 8-bit units of a and b; levels a pixel along its soft edge
_SPECK = 0.08  # of the largest piece: smaller ones are dropped, smaller holes filled
_LEAST, _MOST = 0.01, 0.92  # of the picture, that a subject takes
_RADIUS, _EPSILON = 4, 1e-4  # of the guided filter: pixels, and variance of levels 0 to 1
_STEEPNESS, _MIDDLE = 2.5, 0.6  # of a matte's edge in the filter's; inwards, off mixed pixels
_TILE, _REACH = 512, 96  # pixels; soft edges are less wide than the latter
_WHOLE = 0.4  # of the subject, that its largest piece is at least
_LEAST_USUAL, _MOST_USUAL = 0.02, 0.85  # of the picture, that a subject usually takes
_STEP = 4.0  # levels a pixel, from which an edge is one
_AGREES = 0.7  # of the outline, that lies on such edges at least


@dataclass(frozen=True, slots=True)
class Cutout:
    """A subject. alpha: uint8 (H, W), 255 where it hides the ground wholly. doubt: why it may be
    cut out badly; None where nothing speaks against it."""

    alpha: NDArray[np.uint8]
    doubt: str | None


def cut_out(picture: NDArray[np.uint8], segmenter: Segmenter | None = None) -> Cutout | None:
    """The subject of `picture`, uint8 (H, W, 3); None where none can be told from the ground.

    Deterministic; without a segmenter some 0.2 s a picture.
    """
    small = _shrunk(picture, _LONG_SIDE)
    if min(small.shape[:2]) < 8:
        return None
    if segmenter is None:
        inside = _by_colour(small)
    else:
        inside = _pieces(segmenter.saliency(small) >= _LIKELY, _SPECK)
    if not _LEAST <= float(inside.mean()) <= _MOST:
        return None
    doubt = find_doubt(small, inside)
    if doubt is None and segmenter is None and not _is_calm(small, inside):
        doubt = "the ground is not plain"
    return Cutout(_matte(picture, inside), doubt)


def without_ground(picture: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGBA, uint8 (H, W, 4), of a subject that still has the ground's colour in its soft edge.

    Every pixel that is partly the subject's takes the colour of the nearest one that wholly is.
    """
    cut = np.dstack([picture, alpha])
    for top in range(0, alpha.shape[0], _TILE):
        for left in range(0, alpha.shape[1], _TILE):
            _spread(cut, picture, alpha, top, left)
    return cut


def _spread(
    cut: NDArray[np.uint8],
    picture: NDArray[np.uint8],
    alpha: NDArray[np.uint8],
    top: int,
    left: int,
) -> None:
    """One tile of `without_ground`: a map of all distances would take ten bytes a pixel."""
    tile = np.s_[top : top + _TILE, left : left + _TILE]
    soft = (alpha[tile] > 0) & (alpha[tile] < 255)
    above, before = max(0, top - _REACH), max(0, left - _REACH)
    around = np.s_[above : top + _TILE + _REACH, before : left + _TILE + _REACH]
    sure = alpha[around] == 255
    if not soft.any() or not sure.any():
        return
    _, labels = cv2.distanceTransformWithLabels(
        (~sure).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    by_label = np.zeros((int(labels.max()) + 1, 3), np.uint8)
    by_label[labels[sure]] = picture[around][sure]
    own = labels[top - above :, left - before :][: soft.shape[0], : soft.shape[1]]
    cut[tile][..., :3][soft] = by_label[own[soft]]


def find_doubt(picture: NDArray[np.uint8], inside: NDArray[np.bool_]) -> str | None:
    """Why `inside`, (H, W) and not empty, is hardly the subject of `picture`, uint8 (H, W, 3);
    None where nothing speaks against it."""
    _, _, facts, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8), connectivity=8)
    share = float(inside.mean())
    sides = (inside[0], inside[-1], inside[:, 0], inside[:, -1])
    if facts[1:, cv2.CC_STAT_AREA].max() < _WHOLE * inside.sum():
        return "what stands out is in many pieces"
    if not _LEAST_USUAL <= share <= _MOST_USUAL:
        return f"what stands out takes {share:.0%} of the picture"
    if all(side.any() for side in sides):
        return "what stands out touches all four sides"
    if _agreement(picture, inside) < _AGREES:
        return "its outline is faint"
    return None


def _by_colour(small: NDArray[np.uint8]) -> NDArray[np.bool_]:
    far = subject(small)
    inside = _filled(_pieces(_grab(small, far), _SPECK), far)
    return _pieces(inside & ~_shadow(small, inside), _SPECK)


def _shrunk(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _grab(small: NDArray[np.uint8], far: NDArray[np.float32]) -> NDArray[np.bool_]:
    """GrabCut, begun from how far each colour is from the border's."""
    seeds = np.full(far.shape, cv2.GC_PR_BGD, np.uint8)
    seeds[far > _SUBJECT] = cv2.GC_PR_FGD
    seeds[cv2.erode((far > _SURE).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0] = cv2.GC_FGD
    seeds[_from_border(far < _GROUND)] = cv2.GC_BGD
    likely = np.isin(seeds, (cv2.GC_FGD, cv2.GC_PR_FGD))
    if not likely.any() or likely.all():
        return likely
    cv2.setRNGSeed(0)  # its mixture models start from random centres
    models = np.zeros((1, 65)), np.zeros((1, 65))
    blue_first = np.ascontiguousarray(small[..., ::-1])
    cv2.grabCut(blue_first, seeds, _NO_BOX, *models, _ROUNDS, cv2.GC_INIT_WITH_MASK)
    return np.isin(seeds, (cv2.GC_FGD, cv2.GC_PR_FGD))


def _shadow(small: NDArray[np.uint8], inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The soft shadow at the foot of `inside`: the ground's hue, darker, and no edge before it."""
    rows = np.flatnonzero(inside.any(axis=1))
    if not len(rows) or inside.all():
        return np.zeros_like(inside)
    smooth = np.asarray(cv2.GaussianBlur(small, (0, 0), 1.0), np.uint8)
    lab = cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB).astype(np.float32)
    ground = np.median(lab[~inside], axis=0)
    shaded = np.linalg.norm(lab[..., 1:] - ground[1:], axis=-1) < _SHADE_CHROMA
    shaded &= lab[..., 0] < ground[0]
    shaded[: round(rows[-1] - _FOOT * (rows[-1] - rows[0]))] = False
    beside = cv2.dilate(inside.astype(np.uint8), np.ones((3, 3), np.uint8)) > inside
    walked = np.pad((~(shaded & (inside | beside))).astype(np.uint8), 1, constant_values=1)
    steps = (_SHADE_STEP,) * 3
    for y, x in np.argwhere(beside & shaded):
        if not walked[y + 1, x + 1]:
            flags = 4 | cv2.FLOODFILL_MASK_ONLY | (2 << 8)
            cv2.floodFill(smooth, walked, (int(x), int(y)), 0, steps, steps, flags)
    return np.asarray((walked[1:-1, 1:-1] == 2) & inside)


def _from_border(ground: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The parts of `ground` that touch the picture's border."""
    _, labels = cv2.connectedComponents(ground.astype(np.uint8), connectivity=4)
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return np.isin(labels, np.unique(edge[edge > 0]))


def _is_calm(small: NDArray[np.uint8], inside: NDArray[np.bool_]) -> bool:
    """Whether the border is all ground, and plain."""
    smooth = cv2.GaussianBlur(small, (0, 0), 1.0).astype(np.float32)
    down = np.abs(np.diff(smooth, axis=0)).max(axis=-1)[:, :-1]
    across = np.abs(np.diff(smooth, axis=1)).max(axis=-1)[:-1]
    depth = max(1, min(inside.shape) // _BORDER)
    border = np.ones(down.shape, np.bool_)
    border[depth:-depth, depth:-depth] = False
    changes = np.maximum(down, across)[border]
    edge = np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]])
    return not edge.any() and float(np.percentile(changes, 90)) < _CALM


def _filled(inside: NDArray[np.bool_], far: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Without holes but those through which the ground shows."""
    holes = ~inside & ~_from_border(~inside)
    count, labels = cv2.connectedComponents(holes.astype(np.uint8), connectivity=4)
    sums = np.bincount(labels.ravel(), weights=far.ravel(), minlength=count)
    means = sums / np.maximum(1, np.bincount(labels.ravel(), minlength=count))
    filled = means >= 2 * _GROUND
    filled[0] = False
    return np.asarray(inside | filled[labels])


def _pieces(inside: NDArray[np.bool_], share: float) -> NDArray[np.bool_]:
    _, labels, facts, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8), connectivity=4)
    sizes = facts[:, cv2.CC_STAT_AREA].copy()
    sizes[0] = 0
    return np.asarray(((sizes >= share * sizes.max()) & (sizes > 0))[labels])


def _matte(picture: NDArray[np.uint8], inside: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """A soft edge along that of the picture: He, Sun and Tang, "Guided Image Filtering" (2010)."""
    guide = _shrunk(picture, _MATTE_SIDE).astype(np.float32) / 255
    size = (guide.shape[1], guide.shape[0])
    mask = np.asarray(cv2.resize(inside.astype(np.float32), size), np.float32)
    radius = max(2, round(_RADIUS * max(size) / _LONG_SIDE))
    grey = np.asarray(cv2.cvtColor(guide, cv2.COLOR_RGB2GRAY), np.float32)

    def mean(values: NDArray[np.floating]) -> NDArray[np.float32]:
        return np.asarray(cv2.blur(values, (2 * radius + 1, 2 * radius + 1)), np.float32)

    grey_mean, mask_mean = mean(grey), mean(mask)
    variance = mean(grey * grey) - grey_mean * grey_mean
    slope = (mean(grey * mask) - grey_mean * mask_mean) / (variance + _EPSILON)
    soft = mean(slope) * grey + mean(mask_mean - slope * grey_mean)
    steep = np.clip((soft - _MIDDLE) * _STEEPNESS + 0.5, 0, 1)
    levels = np.asarray(steep * 255 + 0.5).astype(np.uint8)
    whole = cv2.resize(levels, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(whole, np.uint8)


def _agreement(picture: NDArray[np.uint8], inside: NDArray[np.bool_]) -> float:
    """The share of the outline of `inside`, off the picture's sides, that lies on its edges."""
    smooth = cv2.GaussianBlur(picture, (0, 0), 1.0).astype(np.float32)
    steps = [np.abs(cv2.Sobel(smooth, cv2.CV_32F, *way)).max(axis=-1) for way in ((1, 0), (0, 1))]
    near = np.ones((3, 3), np.uint8)
    strongest = cv2.dilate(np.hypot(*steps) / 8, near)  # Sobel gives 8 for a level a pixel
    outline = cv2.morphologyEx(inside.astype(np.uint8), cv2.MORPH_GRADIENT, near) > 0
    outline[:2] = outline[-2:] = outline[:, :2] = outline[:, -2:] = False
    return float((strongest[outline] >= _STEP).mean()) if outline.any() else 1.0
