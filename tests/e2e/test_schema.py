"""The application is as its OpenAPI document says, for thousands of requests made from that.

schemathesis with all of its checks; a longer run is `--max-examples 200` over the same.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from serve.commands.local import Running

CONFIG = Path(__file__).parents[2] / "schemathesis.toml"
READS = ("--include-method", "GET")


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("phase", "which"), [("coverage", READS), ("fuzzing", ()), ("stateful", ())]
)
def test_the_application_is_as_described(
    service: Running, tmp_path: Path, phase: str, which: tuple[str, ...]
) -> None:
    command = (sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG))
    options = ("--checks", "all", "--phases", phase, "--max-examples", "12", "--seed", "1")
    bounds = ("--request-timeout", "60", "--warnings", "off", *which)
    found = subprocess.run(
        (*command, "run", f"{service.url}/openapi.json", *options, *bounds),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )

    assert found.returncode == 0, found.stdout[-8000:] + found.stderr[-2000:]
