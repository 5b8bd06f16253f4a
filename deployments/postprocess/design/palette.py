"""The colours of one advert: a brand's, or else drawn from the picture."""

from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.postprocess.canvas import contrast, shrink, subject
from deployments.postprocess.design.brand import Brand
from deployments.postprocess.design.roles import ColourName
from deployments.postprocess.schema import Colour, contrast_between, ink_on

_PAPER_SATURATION, _PAPER_VALUE = 14, 250  # of 255: white with a breath of the picture's colour
_DEEP_SATURATION, _DEEP_VALUE = 150, 46  # nearly black, of the picture's hue
_GREY = 0.7  # a picture's saturation times this bounds that of its deep tone


class Palette:
    """Colours for `picture`, uint8 (H, W, 3). fallback: accent of a picture without one."""

    def __init__(
        self,
        picture: NDArray[np.uint8],
        brand: Brand | None = None,
        fallback: Colour | None = None,
    ) -> None:
        self._picture = picture
        self._brand = None if brand is None else brand.colours
        self._fallback = fallback

    @property
    def inks(self) -> tuple[Colour, ...]:
        """Inks to be taken before black and white."""
        return () if self._brand is None else (self._brand.ink_rgb, self._brand.ground_rgb)

    @cached_property
    def accent(self) -> Colour | None:
        if self._brand is not None:
            return self._brand.accent_rgb
        return accent_colour(self._picture) or self._fallback

    @property
    def paper(self) -> Colour:
        """A light ground: the lighter of the brand's two."""
        return self._grounds[0]

    @property
    def deep(self) -> Colour:
        """A dark ground: the darker of the brand's two."""
        return self._grounds[1]

    def named(self, name: ColourName, ground: NDArray[np.uint8]) -> Colour:
        """The colour of a shape that lies on `ground`, uint8 (n, 3); ink is what shows there."""
        if name == "accent" and self.accent is not None:
            return self.accent
        if name == "ink":
            return contrast.choose_ink(ground, self.paper, self.deep, 3.0)
        return self.paper if name == "paper" else self.deep

    def ink_on(self, ground: Colour, target: float) -> Colour:
        """Words on a plaque: the brand's ink where it reaches `target`, else white or black."""
        for ink in self.inks:
            if contrast_between(ground, ink) >= target:
                return ink
        return ink_on(ground)

    @cached_property
    def _grounds(self) -> tuple[Colour, Colour]:
        if self._brand is not None:
            ink, ground = self._brand.ink_rgb, self._brand.ground_rgb
            light = contrast.luminance(np.array([ink, ground], np.uint8))
            return (ink, ground) if light[0] > light[1] else (ground, ink)
        small = cv2.resize(self._picture, (48, 48), interpolation=cv2.INTER_AREA)
        mean = _mean(np.asarray(small, np.uint8))
        hue, saturation, _ = (int(c) for c in cv2.cvtColor(mean, cv2.COLOR_RGB2HSV)[0, 0])
        depth = min(_DEEP_SATURATION, round(_GREY * saturation + 20))
        breath = min(_PAPER_SATURATION, round(saturation / 8) + 4)
        return _rgb(hue, breath, _PAPER_VALUE), _rgb(hue, depth, _DEEP_VALUE)


def pill_colours(
    accent: Colour | None, ground: NDArray[np.uint8], target: float, ink: Colour
) -> tuple[Colour, Colour]:
    """(pill, its ink) for a button: the accent, or else the words' own ink.

    The accent is taken only where it stands out from `ground` (n, 3) by 3:1, which WCAG 2.x asks
    of controls (1.4.11), and carries black or white words at `target`.
    """
    for pill in ([accent] if accent else []) + [ink]:
        words = ink_on(pill)
        if contrast.p10(ground, pill) >= 3.0 and contrast_between(pill, words) >= target:
            return pill, words
    return ink, ink_on(ink)


def accent_colour(picture: NDArray[np.uint8]) -> Colour | None:
    """A lively colour of the picture's subject; None in a picture without one.

    The hue (36 bins) that holds most of saturation squared times distance from the border's
    colours, made saturated and as bright as white or black words on it allow.
    """
    small = shrink(picture, 96, 96)
    hsv = cv2.cvtColor(small, cv2.COLOR_RGB2HSV).astype(np.float32)
    hue, saturation, value = hsv[..., 0], hsv[..., 1], hsv[..., 2]
    weight = (saturation / 255) ** 2 * (value / 255) * subject(small)
    if float(weight.mean()) < 0.004:
        return None
    bins = (hue / 5).astype(int)
    best = int(np.bincount(bins.ravel(), weights=weight.ravel(), minlength=36).argmax())
    inside = bins == best
    tone = float(np.average(hue[inside], weights=weight[inside]))
    depth = max(165.0, float(np.average(saturation[inside], weights=weight[inside])))
    patches = np.array([[(tone, depth, value)] for value in range(235, 90, -6)], np.uint8)
    for red, green, blue in cv2.cvtColor(patches, cv2.COLOR_HSV2RGB)[:, 0].tolist():
        colour = (red, green, blue)
        if contrast_between(colour, ink_on(colour)) >= 4.6:
            return colour
    return None


def _mean(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(pixels.reshape(-1, 3).mean(axis=0) + 0.5).astype(np.uint8).reshape(1, 1, 3)


def _rgb(hue: int, saturation: int, value: int) -> Colour:
    pixel = np.array([[[hue, saturation, value]]], np.uint8)
    red, green, blue = (int(c) for c in cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0])
    return red, green, blue
