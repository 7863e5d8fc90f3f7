"""`python -m dspex_worker.describe`: the document of introspection, by the interpreter that runs this.

For releases of DSPy other than the locked one, which no worker serves: snapshots of them are made with it.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback

# Before the first import of DSPy: LiteLLM would fetch its price list from the network.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")


def main(arguments: list[str]) -> int:
    """Writes the document to stdout. Gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m dspex_worker.describe", description=__doc__)
    parser.add_argument("--module", action="append", dest="modules", help="a dotted path; default: dspy")
    parser.add_argument("--python-path", action="append", default=[], help="a directory with modules")
    options = parser.parse_args(arguments)
    modules = options.modules or ["dspy"]
    sys.path[:0] = options.python_path
    # DSPy and its libraries print on import; stdout is the document's alone.
    out = os.dup(1)
    os.dup2(2, 1)

    from dspex_worker import introspect
    from dspex_worker.catalogue import Catalogue

    own = [module for module in modules if module != "dspy"]
    for module in own:
        try:
            importlib.import_module(module)
        except Exception:
            print(f"error: `{module}` cannot be imported", file=sys.stderr)
            traceback.print_exc()
            return 1
    with open(out, "wb") as stdout:
        stdout.write(introspect.document_json(Catalogue(own), modules))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
