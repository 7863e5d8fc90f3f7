"""`run.py` with the fake engine in the place of the real one."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))
sys.path.append(str(HERE))

import fake_engine  # noqa: E402

sys.modules["dspex_worker.engine"] = fake_engine

from dspex_worker.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
