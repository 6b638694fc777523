"""Walks messages in Protocol Buffers' wire format, without a schema and without copying them.

Stricter than Protocol Buffers' own readers, so that both see the same message or this one refuses
it: groups, unknown wire types, over-long keys and fields that end outside their message are errors.
"""

from __future__ import annotations

from collections.abc import Iterator

# Field number, wire type, where the field begins, where its value begins and ends. The value of a
# varint is its bytes, of LENGTH what follows the length.
Field = tuple[int, int, int, int, int]

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
# The largest message that Protocol Buffers writes.
MAX_BYTES = (1 << 31) - 1
_MAX_KEY_BYTES = 5
_MAX_VARINT_BYTES = 10


class WireError(ValueError):
    """The bytes are no message, or one with absurdly many fields."""


class Walker:
    """Reads the fields of messages that lie in one buffer.

    Parameters
    ----------
    data
        The buffer.
    budget
        How many fields may be read in all: what bounds the time, whatever the bytes are.
    """

    def __init__(self, data: bytes, budget: int) -> None:
        if len(data) > MAX_BYTES:
            raise WireError(f"it has {len(data):,} bytes, and a message has at most {MAX_BYTES:,}")
        self.data = data
        self._left = budget

    def fields(self, start: int, stop: int) -> Iterator[Field]:
        """Yield the fields of the message at ``start … stop``, in order.

        Parameters
        ----------
        start
            The first byte of the message.
        stop
            The first byte behind it.

        Yields
        ------
        Field
            Number, type and place of each field; its bytes are not copied.

        Raises
        ------
        WireError
            Where the bytes are no message.
        """
        data, at = self.data, start
        while at < stop:
            begin = at
            self._left -= 1
            if self._left < 0:
                raise WireError("it has absurdly many fields")
            key = data[at]
            at += 1
            if key > 127:
                key, at = self._varint(begin, stop, _MAX_KEY_BYTES)
            number, wire = key >> 3, key & 7
            if wire == LENGTH and number:
                size, at = self._varint(at, stop, _MAX_KEY_BYTES)
                end = at + size
            elif wire == VARINT and number:
                _, end = self._varint(at, stop, _MAX_VARINT_BYTES)
            elif wire == FIXED32 and number:
                end = at + 4
            elif wire == FIXED64 and number:
                end = at + 8
            else:
                raise WireError(f"byte {begin} begins no field")
            if end > stop:
                raise WireError(f"the field at byte {begin} ends outside its message")
            yield number, wire, begin, at, end
            at = end

    def messages(self, start: int, stop: int, number: int) -> Iterator[tuple[int, int]]:
        """Where the values of the field `number` lie, which holds texts, bytes or messages."""
        for found, wire, _, begin, end in self.fields(start, stop):
            if found == number:
                if wire != LENGTH:
                    raise WireError(f"byte {begin} has the wrong type")
                yield begin, end

    def texts(self, start: int, stop: int, number: int) -> list[bytes]:
        """Return the values of the field `number`."""
        return [self.data[begin:end] for begin, end in self.messages(start, stop, number)]

    def _varint(self, at: int, stop: int, limit: int) -> tuple[int, int]:
        data, value, shift = self.data, 0, 0
        for place in range(at, min(stop, at + limit)):
            byte = data[place]
            value |= (byte & 127) << shift
            if byte < 128:
                if limit == _MAX_KEY_BYTES and value >> 32:
                    break
                return value, place + 1
            shift += 7
        raise WireError(f"the number at byte {at} does not end")


def encoded(number: int) -> bytes:
    """Return a varint."""
    made = bytearray()
    while number > 127:
        made.append(number & 127 | 128)
        number >>= 7
    made.append(number)
    return bytes(made)
