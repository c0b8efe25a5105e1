"""The front door: `python run_bench.py --encoder logmel --tasks all --data synthetic`."""

import sys

from benchmark.cli import main

if __name__ == "__main__":
    sys.exit(main())
