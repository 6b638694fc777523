"""``python -m benchmarks [NAME…]``: run the tables, each in its own process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    """Run the named benchmarks, or all; the exit code is 1 when one of them missed its bar."""
    known = sorted(p.stem for p in HERE.glob("*.py") if not p.stem.startswith("_"))
    known.remove("measure")
    names = sys.argv[1:] or known
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"unknown benchmark {unknown[0]}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    failed = [
        name
        for name in names
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"]).returncode
    ]
    if failed:
        print(f"missed a bar: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
