"""How much of the machine's processor the device thread takes."""

import os
import sys

import torch

from deployments.diffusion.profile import DiffusionProfile

STAND_BACK = 5  # of nice's 19: beside other processes it still gets a quarter of a core


def share_cores(profile: DiffusionProfile) -> None:
    """For the calling thread and those that torch starts for it.

    Torch's threads are the profile's. Where they are also what draws (no GPU), they stand back for
    the rest of the application (on Linux, where a thread has a priority of its own): they take all
    that is left, and a wait for one another, which is a busy one, keeps no upload and no finished
    picture from its core.
    """
    torch.set_num_threads(profile.engine.threads)  # per thread: OpenMP's own setting
    wanted = profile.model.device
    draws = wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available())
    if draws and sys.platform == "linux":
        os.nice(STAND_BACK)
