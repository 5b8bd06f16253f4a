"""Components whose moves between the device and host memory fail when a test says so."""

import torch

from deployments.diffusion.profile import ModelSource
from deployments.diffusion.weights.components import SharedComponents


class Moving(SharedComponents):
    """fails: what a move "to_host" or "to_device" raises, after so many that work.

    tried: moves so far, by their direction.
    """

    fails: dict[str, tuple[int, Exception]]
    tried: dict[str, int]

    def to_host(self, tensor: torch.Tensor) -> torch.Tensor:
        self._try("to_host")
        return super().to_host(tensor)

    def to_device(self, tensor: torch.Tensor) -> torch.Tensor:
        self._try("to_device")
        return super().to_device(tensor)

    def _try(self, move: str) -> None:
        self.tried[move] = self.tried.get(move, 0) + 1
        works, error = self.fails.get(move, (2**62, RuntimeError()))
        if self.tried[move] > works:
            raise error


def load_moving(source: ModelSource) -> Moving:
    """The model's components; every move works at first."""
    parts = SharedComponents.load(source)
    moving = Moving(
        parts.modules,
        parts.tokenizers,
        parts.scheduler_config,
        parts.settings,
        parts.device,
        parts.dtype,
        parts.processors,
    )
    object.__setattr__(moving, "fails", {})
    object.__setattr__(moving, "tried", {})
    return moving
