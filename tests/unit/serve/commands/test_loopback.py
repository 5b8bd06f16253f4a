"""Which ports are free, and what is said where one is not."""

import socket

import pytest

from serve.commands import local
from serve.commands.loopback import LOOPBACK, free_port, is_free


def test_a_port_is_free_until_something_listens_on_it() -> None:
    port = free_port()
    assert is_free(port)

    with socket.create_server((LOOPBACK, port)):
        assert not is_free(port)
        with (
            pytest.raises(local.StartFailed, match=f"port {port} is in use"),
            local.application("embedded", port),
        ):
            pass
