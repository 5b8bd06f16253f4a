"""What is done when the device's memory does not suffice: one step after the other, all told.

Out of memory is no reason to lose a picture. A batch is halved, down to single rows; what the VAE
encodes or decodes is done again in tiles, a decode from the same latents; the text encoder moves to
host memory; at last a stage is alone on the device with what it runs. Only then is that one request
refused.

Batches stay small and the text encoder stays in host memory until memory has sufficed for a while,
which doubles each time that they are needed again (`BackOff`).
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, TypeVar, get_args

from deployments.diffusion.families import Stage
from deployments.diffusion.memory.plan import MemoryPlan
from deployments.diffusion.memory.residency import Residency, release_cache
from deployments.diffusion.memory.trying import BackOff, attempt, is_out_of_memory
from deployments.diffusion.request import Request, Row
from deployments.diffusion.sizes import SizeRange, parse_size
from deployments.errors import OutOfMemory

log = logging.getLogger(__name__)

RecoveryStep = Literal[
    "tiled_encode", "tiled_decode", "halved_batch", "text_encoder_on_host", "alone", "refused"
]
RECOVERY_STEPS: tuple[RecoveryStep, ...] = get_args(RecoveryStep)

WARNINGS: dict[RecoveryStep, str] = {
    "tiled_encode": "memory: the picture was encoded in tiles, which changes it slightly",
    "tiled_decode": "memory: decoded in tiles, which changes pixels slightly",
    "halved_batch": "memory: stepped in smaller batches, which takes longer",
    "text_encoder_on_host": "memory: the text encoder was moved to host memory",
    "alone": "memory: other parts of the model were moved out for a moment, which takes longer",
}

TILED: dict[Stage, RecoveryStep] = {"start": "tiled_encode", "decode": "tiled_decode"}

T = TypeVar("T")


class Recovery:
    """What is done, step by step, and how often each step was `used`.

    For the device thread alone; others may read.

    plan: what the VAE takes whole by it; without one, all but what `tiled_decode` says.
    """

    def __init__(
        self, residency: Residency, sizes: SizeRange, plan: MemoryPlan | None = None
    ) -> None:
        self.used: Counter[str] = Counter({step: 0 for step in RECOVERY_STEPS})
        self.residency = residency
        self._sizes = sizes
        self._plan = plan
        self._too_many: int | None = None  # tokens of the smallest forward that did not fit
        self._halved, self._moved_out = BackOff(), BackOff()

    @property
    def reliefs_left_s(self) -> dict[str, float]:
        """Of what lasts, the seconds until it is undone if memory suffices until then; 0 where it
        is not in force."""
        return {
            "halved_batch": self._halved.left_s,
            "text_encoder_on_host": self._moved_out.left_s,
        }

    def restore(self) -> None:
        """Undo what has not been needed for a while. Between two stages."""
        if self._halved.due:
            self._halved.end()
            self._too_many = None
            log.info("batches are whole again")
        if self._moved_out.due and not self.residency.asleep:
            error = attempt(self.residency.text_encoder_back)
            if error is None:
                self._moved_out.end()
                log.info("the text encoder is on the device again")
            elif is_out_of_memory(error):
                self._moved_out.begin()
            else:
                raise error

    def run(
        self,
        stage: Stage,
        request: Request,
        work: Callable[[], T],
        tiled: Callable[[], T] | None = None,
    ) -> T:
        """What `work` returns, or `tiled` in its place. Raises OutOfMemory, and what they raise."""
        outcome = self._awake(work)
        if tiled and is_out_of_memory(outcome):
            self.take(TILED[stage], [request])
            work = tiled
            outcome = self._awake(work)
        if is_out_of_memory(outcome) and self.make_room(stage, request):
            outcome = self._awake(work)
        if is_out_of_memory(outcome):
            outcome = self.alone(stage, request, work)
        if isinstance(outcome, Exception):
            raise self.refusal(stage, request) if is_out_of_memory(outcome) else outcome
        return outcome

    def by_vae(self, stage: Stage, request: Request, pixels: int, work: Callable[..., T]) -> T:
        """What `work` returns for a picture of so many pixels: whole, or in tiles (`tiled=True`)
        where the plan says so or memory does not suffice. Raises OutOfMemory, and what it raises.
        """
        in_tiles = partial(work, tiled=True)
        if self._goes_in_tiles(stage, pixels):
            request.warn(WARNINGS[TILED[stage]])
            return self.run(stage, request, in_tiles)
        return self.run(stage, request, work, in_tiles)

    def _goes_in_tiles(self, stage: Stage, pixels: int) -> bool:
        """Whether the VAE does not take a picture of so many pixels whole."""
        if self._plan is None:
            return stage == "decode" and self.residency.tiled
        whole = self._plan.whole_pixels
        return pixels > (whole if stage == "decode" else max(whole, self._plan.max_pixels))

    def make_room(self, stage: Stage, request: Request) -> bool:
        """Move the text encoder out; False if that has been done, or `stage` runs it, or the host
        cannot take it."""
        if stage == "encode":
            return False
        moved = attempt(self.residency.text_encoder_out)
        if isinstance(moved, Exception):
            log.warning("the text encoder stays on the device: %s", moved)
            return False
        if moved:
            self._moved_out.begin()
            self.take("text_encoder_on_host", [request])
        return moved

    def alone(self, stage: Stage, request: Request, work: Callable[[], T]) -> T | Exception:
        """What `work` returns or raises with nothing on the device but what `stage` runs."""
        self.take("alone", [request])

        def alone() -> T:
            with self.residency.alone(stage):
                return work()

        return attempt(alone)

    def parts(self, rows: list[Row]) -> list[list[Row]]:
        """The batch, or its halves, so that no forward is as large as one that did not fit."""
        if not rows:
            return []
        if len(rows) == 1 or self._too_many is None or tokens(rows) < self._too_many:
            return [rows]
        middle = len(rows) // 2
        return [*self.parts(rows[:middle]), *self.parts(rows[middle:])]

    def halve(self, rows: list[Row]) -> list[list[Row]]:
        """The parts of a batch of two rows or more whose forward did not fit."""
        self._too_many = tokens(rows)
        self._halved.begin()
        self.take("halved_batch", [row.request for row in rows])
        return self.parts(rows)

    def refusal(self, stage: Stage, request: Request) -> OutOfMemory:
        """What is said when no step helps: what did not fit, and what would."""
        self.take("refused", [request])
        params = request.params
        if stage == "encode":
            message = "prompt: the device's memory cannot hold its encoding; shorten it"
            return OutOfMemory(message, "prompt", "out_of_memory")
        asked = f"{params.width}x{params.height}"
        smaller = self._largest_below(params.width * params.height)
        fits = [f"a smaller size, such as {smaller}"] if smaller else []
        fits += [f"fewer pictures than n={params.n}"] if params.n > 1 else []
        advice = f"ask for {' or '.join(fits)}" if fits else "nothing smaller is served here"
        return OutOfMemory(
            f"size: the device's memory cannot hold {asked}; {advice}", "size", "out_of_memory"
        )

    def take(self, step: RecoveryStep, requests: Sequence[Request]) -> None:
        """Count a step, log it, and have each request's answer tell of it."""
        release_cache(self.residency.device)
        self.used[step] += 1
        for paused in (self._halved, self._moved_out):
            paused.extend()
        for request in dict.fromkeys(requests):
            log.warning("out of memory in request %s: %s", request.id, step)
            request.recovery = tuple(dict.fromkeys((*request.recovery, step)))
            if step in WARNINGS:
                request.warn(WARNINGS[step])

    def _awake(self, work: Callable[[], T]) -> T | Exception:
        """What `work` returns or raises, with the weights where they belong: a stage that was alone
        may have left others no room to come back."""

        def awake() -> T:
            self.residency.wake()
            return work()

        return attempt(awake)

    def _largest_below(self, pixels: int) -> str | None:
        """The largest size named by the profile that has fewer pixels."""
        sizes = {self._sizes.default, *self._sizes.recommended}
        areas = {size: width * height for size in sizes for width, height in [parse_size(size)]}
        smaller = [size for size in sizes if areas[size] < pixels]
        return max(smaller, key=lambda size: (areas[size], size), default=None)


def tokens(rows: Sequence[Row]) -> int:
    """What a forward over `rows` computes, padding included."""
    return max(row.tokens for row in rows) * len(rows)
