"""The walker over protocol buffers: examples of their documentation, and bytes that are none."""

from __future__ import annotations

import random

import pytest

from kvis_cli.models.files.protobuf import LENGTH, Walker, WireError, encoded


def read(data: bytes, budget: int = 100):
    walker = Walker(data, budget)
    return [(n, wire, data[at:end]) for n, wire, _, at, end in walker.fields(0, len(data))]


def test_the_examples_of_the_specification():
    assert read(b"\x08\x96\x01") == [(1, 0, b"\x96\x01")]
    assert read(b"\x12\x07testing") == [(2, LENGTH, b"testing")]
    assert read(b"\x1a\x03\x08\x96\x01") == [(3, LENGTH, b"\x08\x96\x01")]
    assert read(b"\x09" + bytes(8) + b"\x15abcd") == [(1, 1, bytes(8)), (2, 5, b"abcd")]
    # A field number above 15 takes two bytes, a length above 127 too.
    assert read(b"\xa2\x06\x80\x01" + b"x" * 128) == [(100, LENGTH, b"x" * 128)]


def test_fields_lie_where_they_are_said_to():
    data = b"\x08\x01" + b"\x1a\x06\x0a\x01a\x0a\x01b"
    walker = Walker(data, 100)
    ((start, end),) = walker.messages(0, len(data), 3)
    assert walker.texts(start, end, 1) == [b"a", b"b"]
    assert walker.texts(0, len(data), 9) == []
    assert [begin for _, _, begin, _, _ in walker.fields(0, len(data))] == [0, 2]


@pytest.mark.parametrize("number", [0, 1, 127, 128, 150, 16383, 16384, 1 << 31])
def test_numbers_are_written_as_they_are_read(number):
    assert encoded(150) == b"\x96\x01"
    assert read(b"\x08" + encoded(number))[0][2] == encoded(number)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x08", "does not end"),
        (b"\x08" + b"\xff" * 12, "does not end"),
        # As Protocol Buffers, keys and lengths of more than 32 bits are none.
        (b"\x8a\x80\x80\x80\x80\x00\x01a", "does not end"),
        (b"\x8a\x80\x80\x80\x70\x01a", "does not end"),
        (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7fa", "does not end"),
        (b"\x12\xff\xff\xff\xff\x0fa", "outside its message"),
        (b"\x12\x7fabc", "outside its message"),
        (b"\x12", "does not end"),
        (b"\x09abc", "outside its message"),
        (b"\x0b\x0c", "begins no field"),
        (b"\x0f", "begins no field"),
        (b"\x00\x01", "begins no field"),
        (b"\x08\x01" * 101, "absurdly many"),
    ],
)
def test_what_is_no_message(data, says):
    with pytest.raises(WireError, match=says):
        read(data)


def test_a_field_of_the_wrong_type_is_no_text():
    walker = Walker(b"\x08\x01", 9)
    with pytest.raises(WireError, match="wrong type"):
        list(walker.messages(0, 2, 1))


def test_random_bytes_never_do_worse():
    rng = random.Random(1)
    for _ in range(3000):
        try:
            read(rng.randbytes(rng.randrange(40)))
        except WireError as error:
            assert str(error)


def test_it_reads_what_protocol_buffers_write():
    from google.protobuf import struct_pb2

    message = struct_pb2.Struct()
    message["long"] = "x" * 300
    message["list"] = [1.5, None, {"a": True}]
    data = message.SerializeToString()
    walker = Walker(data, 1000)
    entries = [dict.fromkeys(walker.texts(*s, 1)) for s in walker.messages(0, len(data), 1)]
    assert sorted(key for entry in entries for key in entry) == [b"list", b"long"]
