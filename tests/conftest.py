"""One Ray cluster with the application on it, over real HTTP, for the whole session."""

from collections.abc import Iterator

import pytest

from serve.commands import local
from serve.commands.loopback import free_port

local.prepare_environment()  # before any test module imports Ray


@pytest.fixture(scope="session")
def service() -> Iterator[local.Running]:
    """The application on the embedded model, ready."""
    with local.application("embedded", free_port()) as running:
        yield running
