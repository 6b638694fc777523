"""Bytecode in a model file: only that of this Python runs, whatever the numbers look like."""

from __future__ import annotations

import base64
import marshal
import opcode
import os
import subprocess
import sys

import pytest

from kvis_cli.errors import UntrustedError
from kvis_cli.models.legacy import bytecode
from kvis_cli.models.legacy.bytecode import check_bytecode, is_current

# `lambda x: __import__("tensorflow").nn.relu(x) + abs(x)`, marshalled by each Python. Those of
# 3.11 and 3.12 have the same numbers for all of it, and other places for caches between.
MARSHALLED = {
    "3.11": (
        "YwEAAAAAAAAAAAAAAAQAAAADAAAA83AAAACXAHQBAAAAAAAAAAAAAGQBpgEAAKsBAAAAAAAAAABqAQAAAAAAAAAA"
        "oAIAAAAAAAAAAAAAAAAAAAAAAAAAAHwApgEAAKsBAAAAAAAAAAB0BwAAAAAAAAAAAAB8AKYBAACrAQAAAAAAAAAA"
        "egAAAFMAKQJO2gp0ZW5zb3JmbG93KQTaCl9faW1wb3J0X1/aAm5u2gRyZWx12gNhYnMpAdoBeHMBAAAAIPoIPHN0"
        "cmluZz76CDxsYW1iZGE+cggAAAABAAAAcyoAAACAAI0qkFzRCiLUCiLUCiXXCirSCiqoMdEKLdQKLbUDsEGxBrQG"
        "0Qo2gADzAAAAAA=="
    ),
    "3.12": (
        "YwEAAAAAAAAAAAAAAAQAAAADAAAA82IAAACXAHQBAAAAAAAAAABkAasBAAAAAAAAagIAAAAAAAAAAAAAAAAAAAAA"
        "AABqBQAAAAAAAAAAAAAAAAAAAAAAAHwAqwEAAAAAAAB0BwAAAAAAAAAAfACrAQAAAAAAAHoAAABTACkCTtoKdGVu"
        "c29yZmxvdykE2gpfX2ltcG9ydF9f2gJubtoEcmVsddoDYWJzKQHaAXhzAQAAACD6CDxzdHJpbmc++gg8bGFtYmRh"
        "PnIIAAAAAQAAAHMlAAAAgACMKpBc0woi1wol0Qol1woq0QoqqDHTCi20A7BBswbRCjaAAPMAAAAA"
    ),
    "3.13": (
        "YwEAAAAAAAAAAAAAAAQAAAADAAAA82IAAACVAFsBAAAAAAAAAABTATUBAAAAAAAAUgIAAAAAAAAAAAAAAAAAAAAA"
        "AABSBQAAAAAAAAAAAAAAAAAAAAAAAFUANQEAAAAAAABbBwAAAAAAAAAAVQA1AQAAAAAAAC0AAAAkACkCTtoKdGVu"
        "c29yZmxvdykE2gpfX2ltcG9ydF9f2gJubtoEcmVsddoDYWJzKQHaAXhzAQAAACDaCDxzdHJpbmc+2gg8bGFtYmRh"
        "PnIIAAAAAQAAAHMjAAAAgACMKpBc0woi1wol0Qol1woq0QoqqDHTCi20A7BBswbSCjbzAAAAAA=="
    ),
}
HERE = ".".join(map(str, sys.version_info[:2]))


def check(raw: bytes) -> None:
    function = {"class_name": "__lambda__", "config": {"code": base64.b64encode(raw).decode()}}
    check_bytecode("m.h5", "scale", function, "--replace-layer scale=…")


@pytest.mark.parametrize("version", MARSHALLED)
def test_only_the_bytecode_of_this_python_runs(version):
    raw = base64.b64decode(MARSHALLED[version])
    if version == HERE:
        check(raw)
        return
    with pytest.raises(UntrustedError) as caught:
        check(raw)
    assert caught.value.what == f"The Lambda layer 'scale' of m.h5 cannot run on Python {HERE}."
    assert "another Python version" in caught.value.why
    assert "--replace-layer scale=…" in caught.value.hint


def test_the_message_names_the_python_that_runs(monkeypatch):
    monkeypatch.setattr(bytecode.sys, "version_info", (3, 99, 0))
    with pytest.raises(UntrustedError, match=r"cannot run on Python 3\.99"):
        check(b"\xe3nothing")


def test_places_for_caches_are_counted(monkeypatch):
    code = eval("lambda x: len(x)").__code__
    assert is_current(code)
    kept = opcode._inline_cache_entries
    by_name = isinstance(kept, dict)
    number = "LOAD_GLOBAL" if by_name else opcode.opmap["LOAD_GLOBAL"]
    for wrong in (kept[number] - 1, kept[number] + 1):
        changed = dict(kept) if by_name else list(kept)
        changed[number] = wrong
        monkeypatch.setattr(bytecode, "_CACHES", changed)
        assert not is_current(code)


def test_functions_inside_are_looked_at():
    outer = eval("lambda x: (lambda y: y)(x)").__code__
    (inner,) = [value for value in outer.co_consts if hasattr(value, "co_code")]
    foreign = inner.replace(co_code=bytes([opcode.opmap["NOP"], 0]) + inner.co_code[2:])
    constants = tuple(foreign if value is inner else value for value in outer.co_consts)
    check(marshal.dumps(outer))
    with pytest.raises(UntrustedError):
        check(marshal.dumps(outer.replace(co_consts=constants)))


MEASURED = """
import os, subprocess, sys
child = subprocess.Popen(
    [sys.executable, "-c", "from kvis_cli.models.legacy.bytecode import run; run()"],
    stdin=subprocess.PIPE, stderr=subprocess.DEVNULL,
)
child.stdin.write(bytes.fromhex(sys.argv[1]))
child.stdin.close()
_, status, used = os.wait4(child.pid, 0)
child.returncode = 0
print(os.waitstatus_to_exitcode(status), used.ru_maxrss)
"""


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="this system does not say what a child used")
def test_bytes_that_ask_for_more_memory_than_there_is_are_refused():
    """A tuple of 2^31 - 1 objects, in five bytes."""
    bomb = b"(" + (2**31 - 1).to_bytes(4, "little")
    # A process of its own between: a child's peak begins with the memory of what forked it.
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, bomb.hex()], capture_output=True, text=True, check=True
    )
    code, kilobytes = map(int, done.stdout.split())
    assert code != 0
    assert kilobytes < 300 * 1024
    with pytest.raises(UntrustedError):
        check_bytecode("m.h5", "l", {"config": {"code": base64.b64encode(bomb).decode()}}, "")
