"""One VAE, two threads: what the device thread does with it changes no picture of the lane's."""

import threading
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl_qwenimage import QwenImageRMS_norm

from deployments.diffusion.families.base import Family
from deployments.diffusion.families.load import FAMILIES, family_of
from deployments.diffusion.weights.components import SharedComponents
from tests.polling import wait_until
from tests.unit.diffusion.conftest import ProfileOf
from tests.unit.diffusion.requests import picture

DEADLINE_S = 200
SIDE = 128
# How sums that are split another way round: of latents about 0.1 large, and of grey levels.
ROUNDING = {"float32": 1e-5, "bfloat16": 1e-2}
LEVELS = {"float32": 1, "bfloat16": 4}
BESIDE: dict[str, Callable[[Family, torch.Tensor], object]] = {
    "encode": lambda family, _: family.latents_of(picture(SIDE, SIDE)),
    "encode in tiles": lambda family, _: family.latents_of(picture(SIDE, SIDE), tiled=True),
    "decode in tiles": lambda family, latents: family.decode(latents, tiled=True),
}


def beside(work: Callable[[], object], vae: torch.nn.Module, then: Callable[[], None]) -> object:
    """What `work` gives, in another thread; `then` is done in the midst of it, by this one."""
    reached, gate = threading.Event(), threading.Event()
    results: list[object] = []

    def pause(*_: object) -> None:
        if threading.current_thread().name == "beside":
            reached.set()
            assert gate.wait(DEADLINE_S)

    norms = (torch.nn.GroupNorm, QwenImageRMS_norm)
    parts = [part for part in vae.modules() if isinstance(part, norms)]
    hooks = [part.register_forward_pre_hook(pause) for part in parts]

    threads = torch.get_num_threads()

    def run() -> None:
        torch.set_num_threads(threads)  # else a thread has OpenMP's own, and splits sums its way
        with torch.inference_mode():
            results.append(work())

    thread = threading.Thread(target=run, name="beside")
    thread.start()
    try:
        wait_until(reached.is_set, DEADLINE_S)
        then()
    finally:
        gate.set()
        thread.join(DEADLINE_S)
        for hook in hooks:
            hook.remove()
    return results[0]


@pytest.mark.parametrize("work", BESIDE)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_decode_beside_it_gives_the_pixels_that_it_gives_alone(
    profiles: ProfileOf, name: str, dtype: str, work: str
) -> None:
    profile = profiles[name](dtype=dtype)
    family = family_of(profile, SharedComponents.load(profile.model))
    vae = family.components.modules["vae"]
    weights = [weight.data_ptr() for weight in vae.parameters()]
    with torch.inference_mode():
        latents = family.latents_of(picture(SIDE, SIDE, seed=1))
        alone, other = family.decode(latents), BESIDE[work](family, latents)
        meanwhile: list[np.ndarray] = []
        together = beside(
            partial(BESIDE[work], family, latents),
            vae,
            lambda: meanwhile.append(family.decode(latents)),
        )
    assert np.array_equal(meanwhile[0], alone)
    apart = np.abs(_values(together) - _values(other)).max()
    assert apart <= (LEVELS if work == "decode in tiles" else ROUNDING)[dtype]
    assert [weight.data_ptr() for weight in vae.parameters()] == weights
    assert not vae.use_tiling


def _values(result: torch.Tensor | np.ndarray) -> np.ndarray:
    tensor = result if isinstance(result, torch.Tensor) else torch.from_numpy(result)
    return tensor.float().numpy()
