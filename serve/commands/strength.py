"""What strength does: which steps it runs, and one photo redrawn at every tenth of it.

The engine runs in this process; nothing here needs Ray.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from deployments.diffusion.engine import Engine
from deployments.diffusion.families import Family, load_family
from deployments.diffusion.profile import DiffusionProfile
from deployments.diffusion.request import GenerationParams, Start
from deployments.diffusion.sizes import parse_size
from deployments.diffusion.weights import ModelUnavailable
from deployments.errors import NotReady, RequestError
from deployments.handover import Drawn, Given
from deployments.postprocess.intake import fit_upload
from serve.settings import AppArgs

STRENGTHS = tuple(tenth / 10 for tenth in range(1, 11))
TABLE_STEPS = (4, 8, 20)
PROMPT = "a strawberry on a cyan background"
SEED = 7
COLUMNS = 6
TIMEOUT_S = 600.0


class StrengthFailed(RuntimeError):
    """The strip could not be drawn; the message says why."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where an edit begins: `executed` of `steps` steps, from `sigma`, the share of noise.

    ignored: nothing of the given picture is left there.
    """

    steps: int
    executed: int
    sigma: float
    ignored: bool

    @property
    def origin(self) -> str:
        """What the first latents are, in words."""
        return "pure noise" if self.ignored else f"{self.sigma:.2f}"


def beginning(
    family: Family, profile: DiffusionProfile, steps: int, strength: float
) -> Beginning | None:
    """Where an edit at the default size begins; None where it runs no step and is refused."""
    executed = family.steps_executed(steps, strength)
    if executed == 0:
        return None
    width, height = parse_size(profile.sizes.default)
    (whole,) = family.start(GenerationParams(PROMPT, width, height, steps, SEED), None)
    start = Start(whole.sigmas[steps - executed :], whole.latents)
    return Beginning(steps, executed, start.sigmas[0].item(), family.ignores_picture(start))


def table(family: Family, profile: DiffusionProfile) -> str:
    """Markdown: for each tenth of strength, the steps executed and the sigma they start from."""
    heads = ["strength", *(f"{steps} steps" for steps in TABLE_STEPS)]
    lines = [heads, ["---"] * len(heads)]
    for strength in STRENGTHS:
        starts = (beginning(family, profile, steps, strength) for steps in TABLE_STEPS)
        cells = (f"{s.executed} from {s.origin}" if s else "refused" for s in starts)
        lines.append([f"{strength:.1f}", *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@dataclass(frozen=True, slots=True)
class Strip:
    """One photo redrawn at every strength: the sheet of pictures, and the table for the model."""

    sheet: Image.Image
    table: str


def draw_strip(profile: DiffusionProfile, photo: Path, prompt: str) -> Strip:
    """Redraw the photo at each tenth of strength, with one seed. Raises StrengthFailed."""
    try:
        given = _read(profile, photo)
        photo_pixels = given.picture
        assert photo_pixels is not None
        family = load_family(profile)
        drawn = _redraw(profile, family, given, photo_pixels.shape[1::-1], prompt)
    except ModelUnavailable as error:
        raise StrengthFailed(error.in_full) from error
    except (RequestError, OSError) as error:
        raise StrengthFailed(str(error)) from error
    cells = [(photo_pixels, "given")]
    for strength, picture in drawn.items():
        if start := beginning(family, profile, profile.steps.default, strength):
            steps = f"{start.executed} of {start.steps} steps"
            cells.append((picture, f"{strength:.1f}: {steps} from {start.origin}"))
    return Strip(_sheet(cells), table(family, profile))


def _read(profile: DiffusionProfile, photo: Path) -> Given:
    limits = AppArgs().intake_limits
    sizes = profile.sizes.recommended_pixels
    return fit_upload(photo.read_bytes(), None, None, None, "crop", sizes, limits)


def _redraw(
    profile: DiffusionProfile, family: Family, given: Given, size: tuple[int, int], prompt: str
) -> dict[float, NDArray[np.uint8]]:
    """The pictures, uint8 (H, W, 3), by strength; one that would run no step is left out."""
    width, height = size
    steps = profile.steps.default
    engine = Engine(profile, lambda _: family, reliefs=())
    try:
        engine.wait_until_ready(TIMEOUT_S)
        futures: dict[float, Future[Drawn]] = {}
        for strength in STRENGTHS:
            if family.steps_executed(steps, strength):
                params = GenerationParams(prompt, width, height, steps, SEED, strength=strength)
                futures[strength] = engine.submit(f"{strength}", params, given)
        return {s: future.result(TIMEOUT_S).pictures[0] for s, future in futures.items()}
    except NotReady as error:
        raise StrengthFailed(error.message) from error
    finally:
        engine.close()


def _sheet(cells: Sequence[tuple[NDArray[np.uint8], str]]) -> Image.Image:
    """The captioned pictures, uint8 (H, W, 3) each, in rows of COLUMNS on white."""
    height, width, _ = cells[0][0].shape
    font = ImageFont.load_default(width / 18)
    down = height + width // 8  # the caption stands below
    rows = -(-len(cells) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * width, rows * down), "white")
    draw = ImageDraw.Draw(sheet)
    for i, (picture, caption) in enumerate(cells):
        left, top = i % COLUMNS * width, i // COLUMNS * down
        sheet.paste(Image.fromarray(picture), (left, top))
        draw.text((left + width / 2, top + (height + down) / 2), caption, "black", font, "mm")
    return sheet
