"""Loading until it works: a failed attempt is a phase with its reason, and is made again."""

import gc
import logging
from collections.abc import Callable

from deployments.diffusion.admission import Admission
from deployments.diffusion.components import ModelUnavailable
from deployments.diffusion.memory import NothingFits
from deployments.diffusion.recovery import is_out_of_memory
from deployments.errors import RequestError

log = logging.getLogger(__name__)

MAX_RETRY_S = 300.0


def load_until_ready(
    start: Callable[[], None], discard: Callable[[], None], admission: Admission, retry_s: float
) -> None:
    """Call `start` until it does not raise, with pauses of `retry_s`, doubling; stop when draining.

    discard: forgets what a failed attempt left, so that its memory is free before the next one.
    """
    attempts = 1
    while reason := _failure(start):
        discard()
        gc.collect()
        again = f"{reason} (attempt {attempts}; the next one in {retry_s:g} s)"
        admission.enter("failed", again)
        if not admission.pause(retry_s):
            return
        admission.enter("loading", reason)
        attempts, retry_s = attempts + 1, min(2 * retry_s, MAX_RETRY_S)


def _failure(start: Callable[[], None]) -> str | None:
    """Why `start` failed, if it did; nothing of its frames is kept."""
    try:
        start()
    except (ModelUnavailable, NothingFits, RequestError) as error:
        return str(error)
    except Exception as error:
        if is_out_of_memory(error):
            return "the device's memory does not hold the model"
        log.exception("the model did not load")
        return "internal error while loading; see the log"
    return None
