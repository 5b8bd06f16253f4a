"""Eight adverts to time the overlay with: pictures made by arithmetic, copy that changes."""

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.postprocess.spec import OverlaySpec

COUNT = 8
_DRINKS = ("라떼", "모카", "빙수", "에이드", "스무디", "콜드브루", "밀크티", "크루아상")
# Of the eight, one scrim, one plate and one shadow are asked for; the stage chooses the rest.
_BACKINGS = ("scrim", "auto", "shadow", "auto", "plate", "auto", "auto", "auto")


def picture(number: int, side: int = 1024) -> NDArray[np.uint8]:
    """A picture of advert `number`, uint8 (side, side, 3): a photograph's spectrum, a subject.

    Amplitudes fall with the frequency, as they do in photographs; the spread grows with the
    number, from calm to busy.
    """
    rng = np.random.default_rng(number)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :])
    noise = rng.normal(size=(3, *frequency.shape)) + 1j * rng.normal(size=(3, *frequency.shape))
    planes = np.fft.irfft2(noise / np.maximum(frequency, 1 / side) ** 1.3, s=(side, side))
    planes = (planes - planes.mean(axis=(1, 2), keepdims=True)) / planes.std()
    shared = planes.mean(axis=0, keepdims=True)  # colours go together more than apart
    base = rng.uniform(70, 190, (3, 1, 1))
    pixels = base + (10 + 5 * number) * (0.4 * planes + shared)
    drawn = np.ascontiguousarray(np.clip(pixels, 0, 255).astype(np.uint8).transpose(1, 2, 0))
    centre = (int(side * rng.uniform(0.35, 0.75)), int(side * rng.uniform(0.55, 0.75)))
    colour = tuple(int(level) for level in rng.integers(30, 240, 3))
    cv2.circle(drawn, centre, side // 6, colour, -1, cv2.LINE_AA)
    return drawn


def spec(number: int, turn: int) -> OverlaySpec:
    """The four layers of advert `number`; each turn has words and figures of its own."""
    drink, other = _DRINKS[(number + turn) % COUNT], _DRINKS[(number + 3 * turn + 1) % COUNT]
    backing = _BACKINGS[number % COUNT]
    copy = {
        "headline": f"여름 한정 {drink} 출시, {turn + 1}일까지!",
        "sub": f"매일 아침 내리는 {other}와 함께 No.{100 + 7 * turn + number}",
        "price": f"₩{3 + turn % 9},{100 * (1 + (number + turn) % 9)}",
        "cta": f"{drink} 주문하기 →",
    }
    layers = [
        {"role": role, "text": text, "align": "start"}
        | ({} if role == "cta" else {"backing": backing})
        for role, text in copy.items()
    ]
    return OverlaySpec.model_validate({"layers": layers})
