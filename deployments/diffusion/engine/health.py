"""When only a new engine can help: the device is lost, or nothing can be drawn any more.

Whether a failure is the request's own or the engine's nobody can tell from one error: libraries on
a lost device raise what they raise for shapes that they do not know. So after a few failures with
no picture delivered between them the engine draws one that it knows how to draw. If that fails too,
no request explains it.
"""

import logging
from collections.abc import Callable
from functools import partial

from deployments.diffusion.engine.preparation import EmbeddingCache, Preparation
from deployments.diffusion.families import Family, plan_passes
from deployments.diffusion.memory import Recovery, attempt, is_device_error, is_out_of_memory
from deployments.diffusion.profile import DiffusionProfile
from deployments.diffusion.request import NO_HURRY, GenerationParams, Request
from deployments.diffusion.sizes import parse_size
from deployments.errors import GenerationFailed, RequestError

log = logging.getLogger(__name__)

FEW = 3  # failures in a row before the engine doubts itself


class EngineDead(BaseException):
    """Ends the device thread; what is on its way fails so that it can be tried elsewhere.

    No Exception: whoever guards one request from another's errors must not catch it.
    """


class Health:
    """Judges failures. For the device thread alone.

    draw: makes a picture that can be drawn wherever the engine works at all.
    """

    def __init__(self, draw: Callable[[], object]) -> None:
        self._draw = draw
        self._in_a_row = 0

    def succeeded(self) -> None:
        """A picture was delivered."""
        self._in_a_row = 0

    def failed(self, error: Exception) -> None:
        """Judge what a request failed with. Raises EngineDead."""
        require_device(error)
        if is_refusal(error) or is_out_of_memory(error):
            return
        self._in_a_row += 1
        if self._in_a_row >= FEW:
            log.warning("%d requests in a row have failed: can the engine draw?", self._in_a_row)
            self.prove()

    def prove(self) -> None:
        """Draw. Raises EngineDead if that fails; short memory proves nothing."""
        self._in_a_row = 0
        error = attempt(self._draw)
        if not isinstance(error, Exception) or is_refusal(error):
            return
        require_device(error)
        raise EngineDead("the model draws nothing any more") from error


def is_refusal(error: Exception) -> bool:
    """Whether the request was refused; a picture of no numbers is the model's failure."""
    return isinstance(error, RequestError) and not isinstance(error, GenerationFailed)


def require_device(error: Exception) -> None:
    """Raise EngineDead if the error says that the device is lost to this process."""
    if is_device_error(error):
        raise EngineDead("the device has failed") from error


def draw_once(profile: DiffusionProfile, family: Family, recovery: Recovery) -> None:
    """Every stage once, at the default size; nothing kept is used. Raises what they raise."""
    width, height = parse_size(profile.sizes.default)
    params = GenerationParams("warm up", width, height, 1, seed=0)
    request = Request("proof", params, None, NO_HURRY, plan_passes(params, profile, family))
    (row,) = Preparation(family, EmbeddingCache(0), recovery).rows(request)
    (velocity,) = recovery.run("forward", request, partial(family.velocity, [row]))
    row.advance(velocity)
    family.after_step(row, velocity)
    recovery.by_vae("decode", request, width * height, partial(family.decode, row.latents))
