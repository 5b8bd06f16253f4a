"""The room's faces: every name that they promise is there, and what they load for the front."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import deployments.postprocess

FACES = sorted(Path(deployments.postprocess.__file__).parent.glob("*/__init__.pyi"))


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.parent.name)
def test_a_face_keeps_what_it_promises(face: Path) -> None:
    room = import_module(f"deployments.postprocess.{face.parent.name}")
    names = re.findall(r"import \w+ as (\w+)", face.read_text())

    assert names
    assert all(hasattr(room, name) for name in names)


def test_the_ingress_loads_nothing_that_draws() -> None:
    code = "import sys, serve.http.ingress; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True).split()

    assert "serve.http.ingress" in loaded
    assert not {"cv2", "pytakumi", "torch"} & set(loaded)
