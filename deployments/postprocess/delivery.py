"""What is to become of drawn pictures, and what did become of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from deployments.postprocess.finish import Finished
from deployments.postprocess.spec import Output, OverlaySpec


@dataclass(frozen=True, slots=True)
class FinishSpec:
    """What a client wants of each picture of a request.

    placement: a name of `spec.PLACEMENTS`, or None to keep the drawn size. metadata: written into
    every file beside the picture's own seed.
    """

    id: str
    overlay: OverlaySpec | None
    placement: str | None
    output: Output
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delivery:
    """The finished pictures of one request with all that is known of their making.

    timings_ms: wall milliseconds by stage, the drawing's and the finishing's; the latter summed
    over the pictures.
    """

    id: str
    pictures: tuple[Finished, ...]
    seeds: tuple[int, ...]
    steps_executed: int
    timings_ms: Mapping[str, float]
    warnings: tuple[str, ...]
