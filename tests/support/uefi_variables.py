"""UEFI's variables in the file that OVMF keeps them in: as if an earlier system of the machine had set one.

The layout is edk2's (MdeModulePkg/Include/Guid/VariableFormat.h): the header of a firmware volume, that of the store,
then variables one after the other, each at a multiple of four bytes. All numbers are little-endian.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_STORE = uuid.UUID("aaf32c78-947b-439a-a180-2e144ec37792")
"""A store whose variables have the fields of authenticated ones (gEfiAuthenticatedVariableGuid)."""
_STORE_HEADER = struct.Struct("<16sIBB6x")
"""Its kind, its size with this header, formatted, healthy."""
_HEADER = struct.Struct("<HBxIQ16sIII16s")
"""Start, state, attributes, count, time, key, size of the name, size of the value, whose the name is."""
_START, _ADDED = 0x55AA, 0x3F
BOOT_ONLY = 0x1 | 0x2
"""Attributes: kept while the machine is off, and for programs that run before the system alone."""
_EMPTY = 0xFF


def add(file: Path, owner: uuid.UUID, name: str, value: bytes, *, attributes: int = BOOT_ONLY) -> None:
    """Add a variable that the file does not have yet; raises ValueError if it has, or is no such file, or is full."""
    data = bytearray(file.read_bytes())
    place, end = _variables(data)
    for one in _walk(data, place):
        if one.added and (one.owner, one.name) == (owner, name):
            raise ValueError(f"{file} has {name} already")
        place = one.end
    encoded = name.encode("utf-16-le") + b"\0\0"
    head = _HEADER.pack(_START, _ADDED, attributes, 0, bytes(16), 0, len(encoded), len(value), owner.bytes_le)
    new = head + encoded + value
    if place + len(new) > end or any(byte != _EMPTY for byte in data[place : place + len(new)]):
        raise ValueError(f"{file} has no room for {name}")
    data[place : place + len(new)] = new
    file.write_bytes(data)


def read(file: Path) -> dict[tuple[uuid.UUID, str], bytes]:
    """Owner and name → value, of all variables of the file; raises ValueError if it is no such file."""
    data = file.read_bytes()
    return {(one.owner, one.name): one.value for one in _walk(data, _variables(data)[0]) if one.added}


@dataclass(frozen=True, slots=True)
class _Variable:
    owner: uuid.UUID
    name: str
    value: bytes
    added: bool
    """Whether it counts: what was changed or deleted stays in the file."""
    end: int
    """Where the next one begins."""


def _walk(data: bytes | bytearray, place: int) -> Iterator[_Variable]:
    while int.from_bytes(data[place : place + 2], "little") == _START:
        _, state, _, _, _, _, name_size, value_size, owner = _HEADER.unpack_from(data, place)
        first = place + _HEADER.size
        name = data[first : first + name_size].decode("utf-16-le").rstrip("\0")
        value = bytes(data[first + name_size : first + name_size + value_size])
        place = _aligned(first + name_size + value_size)
        yield _Variable(uuid.UUID(bytes_le=owner), name, value, state == _ADDED, place)


def _variables(data: bytes | bytearray) -> tuple[int, int]:
    """Where the variables begin, and where their store ends."""
    # A volume's header says its own length after its name, size, signature and attributes (PI specification, 3.2.1).
    start = int.from_bytes(data[48:50], "little")
    if data[40:44] != b"_FVH" or len(data) < start + _STORE_HEADER.size:
        raise ValueError("no variables of OVMF")
    kind, size, _, _ = _STORE_HEADER.unpack_from(data, start)
    if kind != _STORE.bytes_le:
        raise ValueError("no variables of OVMF")
    return start + _STORE_HEADER.size, start + size


def _aligned(place: int) -> int:
    return (place + 3) & ~3
