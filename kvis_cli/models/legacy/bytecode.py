"""Whether the bytecode of a Lambda layer is of this Python, without running it."""

from __future__ import annotations

import binascii
import codecs
import contextlib
import dis
import marshal
import opcode
import subprocess
import sys
from types import CodeType
from typing import Any

from kvis_cli.errors import UntrustedError

CHILD_SECONDS = 60
CHILD_BYTES = 1 << 30


def check_bytecode(reference: str, layer: str, function: Any, replace: str) -> None:
    """Refuse bytecode that another Python wrote: running it can end the process.

    Parameters
    ----------
    reference
        The model, for the message.
    layer
        The path of the Lambda layer.
    function
        Its entry in the config, of any form.
    replace
        The hint that names a replacement.

    Raises
    ------
    UntrustedError
        Naming the layer and the way out.
    """
    config = function.get("config") if isinstance(function, dict) else None
    code = config.get("code") if isinstance(config, dict) else None
    if not isinstance(code, str):
        return
    raw = _decoded(code)
    # marshal reads a foreign code object's fields in the wrong order, and may crash on them.
    try:
        child = subprocess.run(
            [sys.executable, "-c", "from kvis_cli.models.legacy.bytecode import run; run()"],
            input=raw,
            capture_output=True,
            check=False,
            timeout=CHILD_SECONDS,
        )
        if child.returncode == 0:
            return
    except subprocess.TimeoutExpired:
        pass
    version = ".".join(str(n) for n in sys.version_info[:2])
    raise UntrustedError(
        f"The Lambda layer '{layer}' of {reference} cannot run on Python {version}.",
        "It is stored as the bytecode of another Python version, which even --trust cannot run.",
        f"Say what the layer does: {replace}; or open the file with the Python that saved it.",
    )


def run() -> None:
    """Leave the child with 0 when the bytecode on stdin is this Python's."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        # Four bytes may ask marshal for room for two thousand million objects.
        resource.setrlimit(resource.RLIMIT_AS, (CHILD_BYTES, CHILD_BYTES))
    found = marshal.loads(sys.stdin.buffer.read())
    sys.exit(0 if isinstance(found, CodeType) and is_current(found) else 1)


def is_current(code: CodeType) -> bool:
    """Whether every instruction of `code` is one that this Python has, from its own first one."""
    opcodes = [instruction.opname for instruction in dis.get_instructions(code)]
    starts = [name for name in opcodes[:4] if name == "RESUME"]
    inner = [value for value in code.co_consts if isinstance(value, CodeType)]
    return (
        bool(starts)
        and all(not name.startswith("<") for name in opcodes)
        and _has_own_caches(code.co_code)
        and all(is_current(value) for value in inner)
    )


def _has_own_caches(instructions: bytes) -> bool:
    """Whether each instruction is followed by as many empty places as this Python keeps there.

    That is what differs between versions whose instructions have the same numbers; a place too
    many or too few and the interpreter reads data as instructions.
    """
    at = 0
    while at < len(instructions):
        number = instructions[at]
        places = instructions[at + 2 : at + 2 + 2 * _caches(number)]
        if number == _CACHE or len(places) < 2 * _caches(number) or any(places[::2]):
            return False
        at += 2 + len(places)
    return True


def _caches(number: int) -> int:
    # By number until Python 3.12, by name since 3.13.
    if isinstance(_CACHES, dict):
        return int(_CACHES.get(opcode.opname[number], 0))
    return int(_CACHES[number]) if number < len(_CACHES) else 0


_CACHE = opcode.opmap.get("CACHE", -1)
_CACHES: Any = getattr(opcode, "_inline_cache_entries", ())


def _decoded(code: str) -> bytes:
    # As Keras itself decodes it: base64, or the raw bytes of Keras 1 as text.
    try:
        return codecs.decode(code.encode("ascii"), "base64")
    except (UnicodeEncodeError, binascii.Error, ValueError):
        return code.encode("raw_unicode_escape")
