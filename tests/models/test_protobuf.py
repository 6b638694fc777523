"""The walker over protocol buffers: examples of their documentation, and bytes that are none."""

from __future__ import annotations

import random

import pytest

from kvis_cli.models.protobuf import fields, submessages, text


def read(data: bytes):
    return [(n, v if isinstance(v, int) else bytes(v)) for n, v in fields(memoryview(data))]


def test_the_examples_of_the_specification():
    assert read(b"\x08\x96\x01") == [(1, 150)]
    assert read(b"\x12\x07testing") == [(2, b"testing")]
    assert read(b"\x1a\x03\x08\x96\x01") == [(3, b"\x08\x96\x01")]
    assert read(b"\x09" + bytes(8) + b"\x15abcd") == [(1, bytes(8)), (2, b"abcd")]


def test_submessages_and_the_last_text():
    data = memoryview(b"\x1a\x06\x0a\x01a\x0a\x01b\x1a\x03\x0a\x01c")
    assert [bytes(m) for m in submessages(data, 3, 1)] == [b"a", b"b", b"c"]
    assert text(memoryview(b"\x0a\x01a\x0a\x02\xffb"), 1) == "\\xffb"
    assert text(data, 9) == ""


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x08", "ends within a number"),
        (b"\x08" + b"\xff" * 12, "more than 64 bits"),
        (b"\x12\x7fabc", "longer than what holds it"),
        (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7fa", "longer than what holds it"),
        (b"\x09abc", "longer than what holds it"),
        (b"\x0b\x0c", "of the kind 3"),
        (b"\x00\x01", "the number 0"),
    ],
)
def test_what_is_no_message(data, says):
    with pytest.raises(ValueError, match=says):
        read(data)


def test_random_bytes_never_do_worse():
    random.seed(1)
    for _ in range(3000):
        try:
            read(random.randbytes(random.randrange(40)))
        except ValueError as error:
            assert str(error)
