"""`python -m dspex_worker`."""

import sys

from dspex_worker.cli import main

if __name__ == "__main__":
    sys.exit(main())
