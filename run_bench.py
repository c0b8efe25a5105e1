"""The front door: `python run_bench.py --encoder logmel --tasks all --data synthetic`."""

import sys
from pathlib import Path

from earmark.benchmark.cli.main import main

if __name__ == "__main__":
    # the folders beside this file are `earmark.encoders`, ...: `encoders` may be a user's own
    sys.path[:] = [entry for entry in sys.path if Path(entry) != Path(__file__).resolve().parent]
    sys.exit(main())
