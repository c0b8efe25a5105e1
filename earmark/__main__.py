"""`python -m earmark`."""

import sys

from earmark.benchmark.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
