"""The application on a device whose budget a file sets; what it holds is told in another."""

import json
from pathlib import Path

from ray.serve import Application

from deployments.diffusion.families.base import Family, Stage
from deployments.diffusion.profile import DiffusionProfile
from deployments.diffusion.weights.components import SharedComponents
from serve.app import bind
from serve.settings import AppArgs
from tests.budget import Budget, OnSmallDevice


class FileBudget(Budget):
    """limits.json in `folder` is read before every stage; `held` is written there."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def read_limits(self) -> dict[Stage, int]:
        (self._folder / "held").write_text(str(self.held))
        limits: dict[Stage, int] = json.loads((self._folder / "limits.json").read_text())
        return limits


def load(profile: DiffusionProfile, reliefs: object) -> Family:
    """The profile's model on the small device."""
    budget = FileBudget(Path(profile.model.location))
    components = SharedComponents.load(profile.model)
    return OnSmallDevice(components, profile.engine.max_prompt_tokens, budget)


def build(args: AppArgs) -> Application:
    """The import path."""
    return bind(args, load)
