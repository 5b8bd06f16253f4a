"""What is asked for: pictures in the words of the engine, of diffusers and of a server; adverts."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from deployments.diffusion.request import GenerationParams
from deployments.handover import Given
from deployments.postprocess.schema import OverlaySpec

File = tuple[str, bytes, str]  # name, bytes, media type
Kind = Literal["t2i", "i2i", "inpaint"]
KINDS: tuple[Kind, ...] = ("t2i", "i2i", "inpaint")
GOODS = ("car", "cup", "apple", "house", "tree", "fish", "rocket", "guitar")
COLOURS = ("red", "blue", "green", "yellow", "purple", "orange", "white", "black")
STRENGTH = 0.6
SAME_PROMPT = 512  # jobs whose seeds differ by it have equal words, other pictures
EXACT_STRENGTH = 1.0  # as many steps as a picture from a prompt alone
COUNT = 8
_DRINKS = ("라떼", "모카", "빙수", "에이드", "스무디", "콜드브루", "밀크티", "크루아상")
# Of the eight, one scrim, one plate and one shadow are asked for; the stage chooses the rest.
_BACKINGS = ("scrim", "auto", "shadow", "auto", "plate", "auto", "auto", "auto")


@dataclass(frozen=True)
class Job:
    """One picture. seed also chooses the prompt and the picture that an edit starts from."""

    kind: Kind
    seed: int
    width: int
    height: int
    steps: int
    strength: float = STRENGTH

    @property
    def prompt(self) -> str:
        """Of words that the embedded model knows, rarely the same twice running."""
        ground, colour = COLOURS[self.seed % 8], COLOURS[(self.seed // 8) % 8]
        return f"a {colour} {GOODS[(self.seed // 64) % 8]} on a {ground} background"

    @cached_property
    def picture(self) -> NDArray[np.uint8]:
        """What an edit starts from: uint8 (H, W, 3), smooth and of many colours."""
        rng = np.random.default_rng(self.seed)
        coarse = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        return np.asarray(coarse.resize((self.width, self.height), Image.Resampling.BICUBIC))

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """The middle half of each side is repainted: bool (H, W)."""
        mask = np.zeros((self.height, self.width), dtype=bool)
        mask[self.height // 4 : -self.height // 4, self.width // 4 : -self.width // 4] = True
        return mask

    @property
    def params(self) -> GenerationParams:
        """For the engine."""
        strength = None if self.kind == "t2i" else self.strength
        return GenerationParams(
            self.prompt, self.width, self.height, self.steps, self.seed, strength=strength
        )

    @property
    def given(self) -> Given | None:
        """For the engine: what an edit starts from."""
        if self.kind == "t2i":
            return None
        mask = self.mask.astype(np.uint8) * 255 if self.kind == "inpaint" else None
        return Given(self.picture, mask)

    @property
    def call(self) -> dict[str, Any]:
        """For the diffusers pipeline of this kind."""
        call: dict[str, Any] = {
            "prompt": self.prompt,
            "width": self.width,
            "height": self.height,
            "num_inference_steps": self.steps,
            "guidance_scale": 0.0,
            "generator": torch.Generator().manual_seed(self.seed),
        }
        if self.kind != "t2i":
            call |= {"image": Image.fromarray(self.picture), "strength": self.strength}
        if self.kind == "inpaint":
            call["mask_image"] = Image.fromarray(self.mask.astype(np.uint8) * 255)
        return call

    @property
    def path(self) -> str:
        """The route of OpenAI's Images API."""
        return "/v1/images/generations" if self.kind == "t2i" else "/v1/images/edits"

    @property
    def openai_fields(self) -> dict[str, Any]:
        """Those that every server of that API knows."""
        return {"prompt": self.prompt, "size": f"{self.width}x{self.height}"}

    @property
    def fields(self) -> dict[str, Any]:
        """All that the answer depends on, but the files."""
        fields = {**self.openai_fields, "num_inference_steps": self.steps, "seed": self.seed}
        return fields if self.kind == "t2i" else {**fields, "strength": self.strength}

    @cached_property
    def files(self) -> dict[str, File]:
        """What an edit uploads; a mask is transparent where to repaint."""
        if self.kind == "t2i":
            return {}
        files = {"image": ("image.png", png(self.picture), "image/png")}
        if self.kind == "inpaint":
            alpha = np.where(self.mask, 0, 255).astype(np.uint8)
            files["mask"] = ("mask.png", png(np.dstack([self.picture, alpha])), "image/png")
        return files

    def request(self, **more: Any) -> dict[str, Any]:
        """What httpx sends to that route: JSON for a picture from a prompt, a form for an edit.

        more: fields beside `fields`.
        """
        return sent({**self.fields, **more}, self.files)


def sent(fields: Mapping[str, Any], files: Mapping[str, File]) -> dict[str, Any]:
    """Arguments of an httpx request: a form where there are files, else JSON."""
    return {"data": fields, "files": files} if files else {"json": fields}


def png(pixels: NDArray[np.uint8]) -> bytes:
    """A file of the pixels."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


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
