"""Reading FlatBuffers whose schema is known, where no offset is followed that leads out of the file.

The wire format is that of https://flatbuffers.dev, "FlatBuffers internals": little-endian; a table begins with the
signed distance back to its vtable, which says at which offset of the table each field is, 0 if it is absent.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

OFFSET_BYTES: Final = 4
_VTABLE_HEAD: Final = 4
"""Two uint16: the sizes of the vtable and of the table."""


class DamagedError(ValueError):
    """An offset or a length that the file does not have."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a FlatBuffer; fields are counted from 0, as in the schema.

    Attributes:
        data: the whole buffer.
        at: where the table begins.
    """

    data: bytes
    at: int

    def _number(self, form: str, at: int) -> int:
        if at < 0 or at + struct.calcsize(form) > len(self.data):
            msg = f"offset {at} of {len(self.data)} bytes"
            raise DamagedError(msg)
        return int(struct.unpack_from(form, self.data, at)[0])

    def place(self, field: int) -> int:
        """Return where a field is, 0 if it is absent."""
        vtable = self.at - self._number("<i", self.at)
        slot = _VTABLE_HEAD + 2 * field
        if slot + 2 > self._number("<H", vtable):
            return 0
        offset = self._number("<H", vtable + slot)
        return self.at + offset if offset else 0

    def integer(self, field: int, form: str = "<i", default: int = 0) -> int:
        """Return a number; `form` is struct's."""
        at = self.place(field)
        return self._number(form, at) if at else default

    def real(self, field: int) -> float:
        """Return a float32, 0.0 if it is absent."""
        at = self.place(field)
        return struct.unpack("<f", self._number("<I", at).to_bytes(4, "little"))[0] if at else 0.0

    def table(self, field: int) -> Table | None:
        """Return a table, None if it is absent."""
        at = self.place(field)
        return self._child(at) if at else None

    def _child(self, at: int) -> Table:
        return Table(self.data, at + self._number("<I", at))

    def vector(self, field: int, item_bytes: int) -> tuple[int, int]:
        """Return where a vector's elements begin and how many there are; all of them lie within the file."""
        at = self.place(field)
        if not at:
            return 0, 0
        at += self._number("<I", at)
        count = self._number("<I", at)
        start = at + OFFSET_BYTES
        if start + count * item_bytes > len(self.data):
            msg = f"a vector of {count} x {item_bytes} bytes at offset {at} of {len(self.data)}"
            raise DamagedError(msg)
        return start, count

    def content(self, field: int, item_bytes: int = 1) -> bytes:
        """Return the bytes of a vector of numbers or structs."""
        start, count = self.vector(field, item_bytes)
        return self.data[start : start + count * item_bytes]

    def text(self, field: int) -> str:
        """Return a string, empty if it is absent."""
        return self.content(field).decode("utf-8", "replace")

    def integers(self, field: int) -> tuple[int, ...]:
        """Return a vector of int64."""
        content = self.content(field, 8)
        return struct.unpack(f"<{len(content) // 8}q", content)

    def tables(self, field: int) -> tuple[Table, ...]:
        """Return a vector of tables."""
        start, count = self.vector(field, OFFSET_BYTES)
        return tuple(self._child(start + OFFSET_BYTES * k) for k in range(count))

    def texts(self, field: int) -> tuple[str, ...]:
        """Return a vector of strings."""
        start, count = self.vector(field, OFFSET_BYTES)
        found = []
        for k in range(count):
            at = start + OFFSET_BYTES * k
            at += self._number("<I", at)
            length = self._number("<I", at)
            if at + OFFSET_BYTES + length > len(self.data):
                msg = f"a string of {length} bytes at offset {at} of {len(self.data)}"
                raise DamagedError(msg)
            found.append(self.data[at + OFFSET_BYTES : at + OFFSET_BYTES + length].decode("utf-8", "replace"))
        return tuple(found)


def root(data: bytes) -> Table:
    """Return the root table.

    Raises:
        DamagedError: there is none.
    """
    return Table(data, 0)._child(0)  # noqa: SLF001 - the buffer begins with an offset, as a field does
