"""What the command and the ingress import, and what that costs beside what they are built on.

The bounds are some 10 % above what they cost before the rooms had faces: 3.15 and 1.35.
"""

import subprocess
import sys

import pytest

COMMAND = ("serve.commands.cli",)
INGRESS = ("serve.http.ingress",)
APPLICATION = ("serve.app",)
MODEL = {"torch", "diffusers", "transformers"}
DRAWING = {"cv2", "pytakumi"}

CODE = """
import importlib, resource, sys
for module in sys.argv[1:]:
    importlib.import_module(module)
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime, *sys.modules)
"""


def imported(modules: tuple[str, ...]) -> tuple[float, set[str]]:
    """CPU seconds, user's and system's, of a fresh interpreter, and all modules that it has."""
    command = [sys.executable, "-c", CODE, *modules]
    seconds, *names = subprocess.check_output(command, text=True).split()
    return float(seconds), set(names)


@pytest.mark.parametrize(
    ("modules", "foreign"),
    [
        (COMMAND, MODEL | DRAWING | {"ray"}),
        (INGRESS, MODEL | DRAWING),
        (APPLICATION, MODEL),  # whoever binds the rooms runs no model
    ],
)
def test_no_more_is_imported_than_is_used(modules: tuple[str, ...], foreign: set[str]) -> None:
    _, names = imported(modules)

    assert names.issuperset(modules)
    assert not names & foreign


@pytest.mark.parametrize(
    ("modules", "ground", "rounds", "bound"),
    [
        (COMMAND, ("pydantic", "rich.console", "rich.table"), 8, 3.45),
        (INGRESS, ("fastapi", "ray.serve"), 3, 1.48),
    ],
)
def test_imports_take_no_longer_than_they_did(
    modules: tuple[str, ...], ground: tuple[str, ...], rounds: int, bound: float
) -> None:
    taken: list[float] = []
    least: list[float] = []
    for _ in range(rounds):  # in turn, so that a busy neighbour is met by both
        taken.append(imported(modules)[0])
        least.append(imported(ground)[0])

    assert min(taken) / min(least) < bound
