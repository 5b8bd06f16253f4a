"""Large pictures: drawn at a size that the model is at home in, enlarged, then redrawn a little.

Every picture of the request runs both passes as one row of the engine. The second pass is what an
edit of the enlarged picture would be, with the profile's strength and the picture's own seed.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deployments.diffusion.families.base import Family
from deployments.diffusion.profile import DiffusionProfile
from deployments.diffusion.request import GenerationParams, Pass, Row, Work
from deployments.errors import InvalidValue
from deployments.handover import Given


def plan_passes(
    params: GenerationParams, profile: DiffusionProfile, family: Family
) -> tuple[Pass, ...]:
    """The passes that draw what is asked for: one, or two with `hires`.

    Raises InvalidValue("hires") when the second would run no step.
    """
    if profile.hires is None or not params.hires:
        return (_plan(params, "steps", family),)
    width, height = profile.sizes.nearest(params.width / params.height)
    first = replace(params, width=width, height=height, hires=False)
    second = replace(params, strength=profile.hires.strength, hires=False)
    drawing, redrawing = _plan(first, "steps", family), _plan(second, "hires_steps", family)
    if redrawing.steps == 0:
        raise InvalidValue(
            f"hires: its second pass runs no step of {params.num_inference_steps}; ask for more",
            "hires",
            "hires_runs_no_step",
        )
    # encoding the enlarged picture takes about as long as decoding it will
    encoded = drawing.work + Work(pixels=params.width * params.height)
    return (replace(drawing, work=encoded), redrawing)


def begin_next_pass(
    row: Row, picture: NDArray[np.uint8], family: Family, *, tiled: bool = False
) -> None:
    """Put the row at the start of its next pass, over the picture that the last one drew.

    tiled: it is encoded in tiles.
    """
    request, after = row.request, row.passes[1]
    number = request.rows.index(row)
    params = replace(after.params, n=1, seed=after.params.seed + number)
    references = () if request.given is None else request.given.references
    given = Given(enlarge(picture, params.width, params.height), references=references)
    (start,) = family.start(params, given, tiled=tiled)
    if family.ignores_picture(start):
        request.warn(
            f"hires: at {params.num_inference_steps} steps the second pass starts from pure "
            "noise: the first is ignored"
        )
    row.walked += row.steps
    row.step = 0
    row.passes = row.passes[1:]
    row.sigmas, row.latents, row.inpainting = start.sigmas, start.latents, start.inpainting
    row.generator = start.generator
    row.references, row.reference_tokens = start.references, start.reference_tokens
    row.lengths = family.lengths(start, row.embedding, row.negative)
    row.batch_key = family.batch_key(start)


def enlarge(picture: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """uint8 (height, width, 3): the picture in Lanczos resampling, grown until it covers the size;
    what stands over is cut evenly.
    """
    rows, columns, _ = picture.shape
    scale = max(width / columns, height / rows)
    left = max(0.0, (columns - width / scale) / 2)
    top = max(0.0, (rows - height / scale) / 2)
    box = (left, top, columns - left, rows - top)
    image = Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS, box)
    return np.array(image)


def _plan(params: GenerationParams, stage: str, family: Family) -> Pass:
    steps = family.steps_executed(params.num_inference_steps, params.strength)
    return Pass(params, stage, family.work(params), steps)
