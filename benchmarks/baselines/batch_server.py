"""The `@serve.batch` replica as a server; alone starts the cluster that `batches` runs on.

python -m benchmarks.baselines.batch_server --port 8002 --threads 2
"""

import argparse
import signal
import tempfile
import threading
from pathlib import Path

from serve.commands import LOOPBACK, local


def main() -> None:
    """Serve the embedded model until Ctrl-C."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--threads", type=int, required=True, help="of the model")
    given = arguments.parse_args()
    stop = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    with (
        tempfile.TemporaryDirectory(prefix="signboard-", dir="/tmp") as folder,
        local.ray_cluster(Path(folder), dashboard=False),
    ):
        from benchmarks.baselines import batches  # Ray reads its environment when first imported

        batches.run(given.port, LOOPBACK, given.threads)
        stop.wait()


if __name__ == "__main__":
    main()
