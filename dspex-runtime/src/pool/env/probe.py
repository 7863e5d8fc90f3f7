"""Tells what an interpreter is and which of the packages named as arguments it has, as one line of JSON.

Runs on anything that calls itself Python, so it keeps to what every version since 2.7 understands.
"""

from __future__ import print_function

import json
import platform
import sys
import sysconfig

# Started with -c, an interpreter would look for packages in the current directory first.
if sys.path and sys.path[0] == "":
    del sys.path[0]


def versions(names):
    try:
        from importlib import metadata
    except ImportError:
        return {}
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


print(
    json.dumps(
        {
            "implementation": platform.python_implementation(),
            "version": list(sys.version_info[:3]),
            "prerelease": sys.version_info[3] != "final",
            "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
            "executable": getattr(sys, "_base_executable", None) or sys.executable,
            "platform": sysconfig.get_platform(),
            "packages": versions(sys.argv[1:]),
        }
    )
)
