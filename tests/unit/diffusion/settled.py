"""What is alive once the device thread holds nothing of the last request."""

import time

from deployments.diffusion.engine.engine import Engine
from deployments.diffusion.weights.audit import live_storage_bytes
from tests.polling import wait_until

DEADLINE_S = 200


def settled_bytes(engine: Engine) -> int:
    """Bytes of all storages in this process, after the device thread's next heartbeat.

    An answer is there before the thread has left the tick that gave it, with its rows in hand.
    """
    before = beaten(engine)
    wait_until(lambda: beaten(engine) > before + 0.01, DEADLINE_S)
    return live_storage_bytes()


def beaten(engine: Engine) -> float:
    """When the device thread last finished a piece of work; an idle one does every second."""
    return time.monotonic() - engine.state().beat_age_s
