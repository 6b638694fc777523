"""Functions of test modules in a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def answer(module: str, *arguments: Any, timeout: float) -> Any:
    """Run ``run(*arguments)`` of a test module in a process, which may crash; its last line's JSON.

    Parameters
    ----------
    module
        The module's name from the project's root.
    *arguments
        What JSON can hold.
    timeout
        Seconds.
    """
    code = f"import sys, json; from {module} import run; run(*json.loads(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", code, json.dumps(arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])
