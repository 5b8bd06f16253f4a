"""Each contract of import-linter fails on one wrong import: none holds because it holds nothing."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
CONTRACTS = [contract["name"] for contract in LINTER["contracts"]]

# By contract: the file that gets a line, and the line.
PLANTED = {
    "The front of the house is above the rooms, and nothing below knows it": (
        "configs/__init__.py",
        "import serve.settings",
    ),
    "Benchmarks measure the rooms without Ray": ("benchmarks/harness/turns.py", "import ray"),
    "The two rooms do not know each other": (
        "deployments/postprocess/schema/colour.py",
        "import deployments.diffusion.profile",
    ),
    "In the rooms only deployment.py knows Ray": ("deployments/diffusion/profile.py", "import ray"),
    "Only engine.py knows the rendering engine": (
        "deployments/postprocess/finish.py",
        "import pytakumi",
    ),
    "Only blobs.py knows what files lie on": ("serve/settings.py", "import fsspec"),
    "Only credentials.py knows how files are signed": (
        "deployments/postprocess/files/inspection.py",
        "import c2pa",
    ),
    "The CPU room: arrows point down": (
        "deployments/postprocess/schema/colour.py",
        "import deployments.postprocess.files",
    ),
    "What is drawn on does not know what is kept": (
        "deployments/postprocess/painting/paint.py",
        "import deployments.postprocess.files.encode",
    ),
    "The GPU room: arrows point down": (
        "deployments/diffusion/request/params.py",
        "import deployments.diffusion.engine",
    ),
    "The families: arrows point down": (
        "deployments/diffusion/families/base.py",
        "import deployments.diffusion.families.sdxl",
    ),
    "The front: arrows point down": ("serve/settings.py", "import serve.http.rooms"),
    "HTTP: arrows point down": ("serve/http/wire/errors.py", "import serve.http.ingress"),
    "Benchmarks: arrows point down": ("benchmarks/harness/turns.py", "import benchmarks.suite"),
}


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages' Python files and the configuration, in a folder of their own."""
    folder = tmp_path_factory.mktemp("house")
    for package in LINTER["root_packages"]:
        for file in (ROOT / package).rglob("*.py"):
            to = folder / file.relative_to(ROOT)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, to)
    shutil.copyfile(ROOT / "pyproject.toml", folder / "pyproject.toml")
    return folder


def test_each_contract_has_its_planted_import() -> None:
    assert sorted(PLANTED) == sorted(CONTRACTS)


def test_all_contracts_hold_in_the_copy(copied: Path) -> None:
    assert broken(copied) == []


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_contract_fails_on_a_wrong_import(name: str, copied: Path) -> None:
    where, line = PLANTED[name]
    file = copied / where
    before = file.read_text()
    try:
        file.write_text(f"{before}\n{line}\n")
        assert name in broken(copied)
    finally:
        file.write_text(before)


def broken(folder: Path) -> list[str]:
    """The names of the contracts that do not hold there."""
    lint = (
        "import sys; sys.path.insert(0, '.'); from importlinter import cli; "
        "sys.exit(cli.lint_imports('pyproject.toml', no_cache=True, no_logo=True))"
    )
    ran = subprocess.run([sys.executable, "-c", lint], cwd=folder, capture_output=True, text=True)
    lines = ran.stdout.splitlines()
    found = [name for name in CONTRACTS if any(line.startswith(f"{name} BROKEN") for line in lines)]
    kept = [name for name in CONTRACTS if any(line.startswith(f"{name} KEPT") for line in lines)]
    assert len(found) + len(kept) == len(CONTRACTS), ran.stdout + ran.stderr
    assert bool(found) == bool(ran.returncode)
    return found
