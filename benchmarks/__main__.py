"""One benchmark in this process: `python -m benchmarks NAME [--quick] --out FILE`."""

import argparse
import signal
import sys
from pathlib import Path

from benchmarks.suite import BENCHMARKS


def main() -> None:
    """Measure, and write the result."""
    arguments = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    arguments.add_argument("name", choices=BENCHMARKS)
    arguments.add_argument("--quick", action="store_true", help="see that the code runs")
    arguments.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options = arguments.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers are stopped
    result = BENCHMARKS[options.name].measure(options.quick, lambda said: print(said, flush=True))
    result.write(options.out)


if __name__ == "__main__":
    main()
