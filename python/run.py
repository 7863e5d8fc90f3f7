"""Starts dspex_worker from the directory of this file, in isolated mode: `python -I run.py zygote`.

Isolated mode keeps the environment's PYTHON* variables and the current directory out of the worker, and
with them the package itself; so its directory is put on the path here.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from dspex_worker.cli import main

if __name__ == "__main__":
    sys.exit(main())
