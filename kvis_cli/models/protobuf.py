"""Protocol buffer messages as fields, without their schema and without the protobuf library.

https://protobuf.dev/programming-guides/encoding/. The bytes may come from anywhere: whatever is
wrong with them is a `ValueError`, and no field is longer than the bytes that hold it.
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_LAST_SHIFT = 63


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of a message in their order: number, and value.

    Values are numbers for varints and views of `message` for everything else.

    Raises
    ------
    ValueError
        For a message that is cut short, or holds a field of no known kind.
    """
    position, end = 0, len(message)
    while position < end:
        key, position = _varint(message, position)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise ValueError("a field has the number 0")
        if kind == VARINT:
            value, position = _varint(message, position)
            yield number, value
            continue
        if kind == LENGTH:
            size, position = _varint(message, position)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
        else:
            raise ValueError(f"a field is of the kind {kind}")
        if size > end - position:
            raise ValueError("a field is longer than what holds it")
        yield number, message[position : position + size]
        position += size


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    try:
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, position
            shift += 7
            if shift > _LAST_SHIFT:
                raise ValueError("a number has more than 64 bits")
    except IndexError:
        raise ValueError("it ends within a number") from None


def submessages(message: memoryview, *path: int) -> Iterator[memoryview]:
    """Every submessage at a path of field numbers."""
    number, rest = path[0], path[1:]
    for found, value in fields(message):
        if found == number and isinstance(value, memoryview):
            if rest:
                yield from submessages(value, *rest)
            else:
                yield value


def text(message: memoryview, number: int) -> str:
    """A text field: its last value, as protobuf takes it; empty where there is none."""
    value = ""
    for found in submessages(message, number):
        value = bytes(found).decode("utf-8", "backslashreplace")
    return value
