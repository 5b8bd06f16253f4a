"""Signboard with so many replicas of its diffusion room, as its Serve config would say; alone knows
how that config names them.

    python -m benchmarks.baselines.replicas --profile FILE --replicas 2 --port 8000
"""

import argparse
import signal
import tempfile
import threading
from pathlib import Path

from serve.commands import local

ROOM = "DiffusionDeployment"


def main() -> None:
    """Serve until Ctrl-C."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--profile", required=True, help="YAML file, by its absolute path")
    arguments.add_argument("--replicas", type=int, required=True)
    arguments.add_argument("--port", type=int, required=True)
    given = arguments.parse_args()
    stop = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    with tempfile.TemporaryDirectory(prefix="signboard-", dir="/tmp") as name:
        folder = Path(name)
        config = local.read_config(given.profile, given.port, str(folder / "library"))
        (application,) = config["applications"]
        (room,) = (one for one in application["deployments"] if one["name"] == ROOM)
        room["num_replicas"] = given.replicas
        with local.ray_cluster(folder, dashboard=False):
            local.deploy(config, folder)
            stop.wait()
            local.undeploy()


if __name__ == "__main__":
    main()
