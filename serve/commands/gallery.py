"""The gallery: every template in every language and at every placement, as a page of thumbnails.

The engine runs in this process, as for `signboard strength`; nothing here needs Ray.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image

from deployments.diffusion.engine import Engine
from deployments.diffusion.families import load_family
from deployments.diffusion.request import GenerationParams
from deployments.diffusion.sizes import parse_size
from deployments.diffusion.weights import ModelUnavailable
from deployments.errors import NotReady, RequestError
from deployments.postprocess.design import Brand, find_template, template_names
from deployments.postprocess.finish import finish_picture
from deployments.postprocess.schema import Box, Output, OverlaySpec, TextLayer
from serve.profiles import load_profile
from serve.settings import AppArgs, find_brands

PLAN = Path(__file__).with_name("gallery.yaml")
LANGUAGES = {"ko": "Korean", "en": "English", "ja": "Japanese", "ar": "Arabic", "th": "Thai"}
PLACEMENTS = ("feed_portrait", "story", "banner")
DRAWN = {
    "strawberry": ("a strawberry on a cyan background", "256x320"),
    "car": ("a car on a yellow background", "320x256"),
    "cake": ("a cake on a pink background", "256x320"),
    "panda": ("a panda on a green background", "256x256"),
}
SEED = 7
PHOTOGRAPHS = ("astronaut", "camera", "chelsea", "coffee", "rocket")
CREDITS = (
    "Photographs, as scikit-image ships them: astronaut (NASA) and rocket (SpaceX), public domain; "
    "camera (Lav Varshney), chelsea (Stefan van der Walt) and coffee (Rachel Michetti), CC0."
)
PROTECT = {
    "astronaut": Box(x=0.33, y=0.02, width=0.22, height=0.36),
    "camera": Box(x=0.38, y=0.12, width=0.17, height=0.22),
}
"""Faces, which only a client can name."""
LONG_SIDE = 480
QUALITY = 78
TIMEOUT_S = 600.0


class GalleryFailed(RuntimeError):
    """The gallery could not be made; the message says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One advert to be made. words: by role."""

    template: str
    language: str
    placement: str
    picture: str
    words: Mapping[str, str]
    brand: str | None = None

    @property
    def file(self) -> str:
        """The thumbnail's name."""
        parts = (self.template, self.language, self.placement, self.brand)
        return "-".join(part for part in parts if part) + ".webp"

    def spec(self) -> OverlaySpec:
        """What is asked of the post-process room."""
        layers: list[Any] = [
            TextLayer.model_validate({"role": role, "text": text, "lang": self.language})
            for role, text in self.words.items()
        ]
        protect = [PROTECT[self.picture]] if self.picture in PROTECT else []
        return OverlaySpec(layers=layers, protect=protect, template=self.template, brand=self.brand)


@dataclass(frozen=True, slots=True)
class Shown:
    """An advert as the page shows it. contrast: the lowest p10 of its layers."""

    entry: Entry
    advert: NDArray[np.uint8]
    contrast: float
    warnings: tuple[str, ...]


def plan() -> list[Entry]:
    """Each template once a language, its placements taken in turn; then two with brands."""
    wanted: dict[str, Any] = yaml.safe_load(PLAN.read_text(encoding="utf-8"))
    entries = []
    for start, template in enumerate(template_names()):
        pictures, copy = wanted[template]["pictures"], wanted[template]["copy"]
        for turn, language in enumerate(LANGUAGES):
            placement = PLACEMENTS[(start + turn) % len(PLACEMENTS)]
            entries.append(Entry(template, language, placement, pictures[turn], copy[language]))
    branded = (("menu", "ko", "feed_portrait", "harbor"), ("sale", "en", "banner", "volt"))
    for template, language, placement, brand in branded:
        one = wanted[template]
        picture = one["pictures"][list(LANGUAGES).index(language)]
        entries.append(Entry(template, language, placement, picture, one["copy"][language], brand))
    return entries


def pictures() -> dict[str, NDArray[np.uint8]]:
    """uint8 (H, W, 3) by name: drawn by the embedded model, and photographs.

    Raises GalleryFailed where scikit-image is not installed or the model cannot draw.
    """
    try:
        return photographs() | _draw()
    except (RequestError, ModelUnavailable) as error:
        raise GalleryFailed(str(error)) from error


def photographs() -> dict[str, NDArray[np.uint8]]:
    """Those of scikit-image's photographs that need no download and are free to use."""
    try:
        from skimage import data
    except ImportError as error:
        raise GalleryFailed("the photographs are scikit-image's: pip install it first") from error
    found = {}
    for name in PHOTOGRAPHS:
        pixels = getattr(data, name)()
        found[name] = np.ascontiguousarray(
            np.stack([pixels] * 3, axis=-1) if pixels.ndim == 2 else pixels[..., :3]
        )
    return found


def _draw() -> dict[str, NDArray[np.uint8]]:
    profile = load_profile("embedded")
    family = load_family(profile)
    engine = Engine(profile, lambda _: family, reliefs=())
    try:
        engine.wait_until_ready(TIMEOUT_S)
        futures = {}
        for name, (prompt, size) in DRAWN.items():
            width, height = parse_size(size)
            params = GenerationParams(prompt, width, height, profile.steps.default, SEED)
            futures[name] = engine.submit(name, params)
        return {name: future.result(TIMEOUT_S).pictures[0] for name, future in futures.items()}
    except NotReady as error:
        raise GalleryFailed(error.message) from error
    finally:
        engine.close()


def show(
    entry: Entry, picture: NDArray[np.uint8], brands: Mapping[str, Brand] | None = None
) -> Shown:
    """Make one advert of `picture`, uint8 (H, W, 3)."""
    made = finish_picture(picture, entry.spec(), entry.placement, Output("png"), {}, brands or {})
    if made.report is None:
        raise GalleryFailed(f"{entry.file}: {'; '.join(made.warnings)}")
    advert = np.asarray(Image.open(io.BytesIO(made.data)).convert("RGB"))
    contrast = min((layer.contrast_p10 for layer in made.report.layers), default=0.0)
    return Shown(entry, advert, contrast, made.warnings)


def make(folder: Path) -> Iterator[Shown]:
    """Write the thumbnails into `folder` and the page beside it, handing out each advert.

    Raises GalleryFailed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    brands = find_brands(AppArgs())
    found = pictures()
    shown = []
    for entry in plan():
        one = show(entry, found[entry.picture], brands)
        image = Image.fromarray(one.advert)
        image.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
        image.save(folder / entry.file, "WEBP", quality=QUALITY, method=6)
        shown.append(one)
        yield one
    folder.with_suffix(".md").write_text(page(shown, folder.name), encoding="utf-8")


def page(shown: Sequence[Shown], folder: str) -> str:
    """The page in Markdown: what every template is about, its adverts, and what was measured."""
    lines = [
        "# The gallery",
        "",
        "Made by `signboard gallery --out docs/gallery`: every template in five languages and at "
        "three placements, filled from role texts alone. Contrast is the lowest 10th percentile "
        "of the WCAG ratio among an advert's layers.",
        "",
        CREDITS + " All others were drawn by the embedded model.",
    ]
    for template in template_names():
        ours = [one for one in shown if one.entry.template == template]
        lines += ["", f"## {template}", "", find_template(template).about, ""]
        lines += [
            f'<img src="{folder}/{one.entry.file}" height="300" alt="{_said(one.entry)}">'
            for one in ours
        ]
        lines += ["", "| language | placement | picture | brand | contrast | warnings |"]
        lines += ["|---|---|---|---|---|---|"]
        lines += [f"| {' | '.join(_cells(one))} |" for one in ours]
    return "\n".join([*lines, ""])


def _said(entry: Entry) -> str:
    return f"{entry.template} in {LANGUAGES[entry.language]}, {entry.placement}"


def _cells(one: Shown) -> tuple[str, ...]:
    entry = one.entry
    return (
        LANGUAGES[entry.language],
        entry.placement,
        entry.picture,
        entry.brand or "",
        f"{one.contrast:.2f}",
        "; ".join(one.warnings),
    )
