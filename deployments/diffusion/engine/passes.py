"""Large pictures: drawn at a size that the model is at home in, enlarged, then redrawn a little.

Every picture of the request runs both passes as one row of the engine. The second pass is what an
edit of the enlarged picture would be, with the profile's strength and the picture's own seed.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deployments.diffusion.families import Family
from deployments.diffusion.request import Generation
from deployments.handover import Fitted


def begin_next_pass(
    row: Generation, picture: NDArray[np.uint8], family: Family, *, tiled: bool = False
) -> None:
    """Put the row at the start of its next pass, over the picture that the last one drew.

    tiled: it is encoded in tiles.
    """
    request, after = row.request, row.passes[1]
    number = request.generations.index(row)
    params = replace(after.params, n=1, seed=after.params.seed + number)
    given = Fitted(enlarge(picture, params.width, params.height))
    (start,) = family.start(params, given, tiled=tiled)
    if family.ignores_picture(start):
        request.warn(
            f"hires: at {params.num_inference_steps} steps the second pass starts from pure "
            "noise: the first is ignored"
        )
    row.walked += row.steps
    row.step = 0
    row.passes = row.passes[1:]
    row.sigmas, row.latents, row.source = start.sigmas, start.latents, start.source
    row.generator = start.generator
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
