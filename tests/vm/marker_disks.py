"""A disk in each of a virtual lab's machines, as a room's PCs have: a system to boot, and files to leave alone.

A virtual lab has no disks, so QEMU is found by a program of the same name that adds one.
"""

from __future__ import annotations

import hashlib
import shlex
import shutil
import struct
from collections.abc import Iterable
from pathlib import Path

from nodisk import run
from nodisk.machines.qemu import PROGRAM

SIZE = 16 << 20
"""Bytes."""
_SECTOR = 512
_BEGIN = 2048
"""Sector at which the partition begins."""
_LINUX = 0x83


def _boot_sector(name: str) -> bytes:
    """Code that sends its words to the serial port, byte by byte, and stops; then one partition."""
    place = struct.pack("<H", 0x7C00 + 22).hex()
    code = bytes.fromhex(f"31c08ed8fcbe{place}baf803ac84c07403eeebf8f4ebfd")
    assert len(code) == 22
    partition = struct.pack("<B3xB3xII", 0x80, _LINUX, _BEGIN, SIZE // _SECTOR - _BEGIN)
    words = f"\r\n\r\n{says(name)}\r\n\0".encode()
    return (code + words).ljust(446, b"\0") + partition.ljust(64, b"\0") + b"\x55\xaa"


def says(name: str) -> str:
    """What the system on a machine's disk prints."""
    return f"disk of {name}"


class Disks:
    """Those of these machines, in ``folder``."""

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        self._files = {name: folder / f"{name}.img" for name in names}
        for name, file in self._files.items():
            file.write_bytes(_boot_sector(name).ljust(SIZE, b"\0"))
            blocks = (SIZE - _BEGIN * _SECTOR) // 1024
            run.run(["mkfs.ext4", "-q", "-b", "1024", "-E", f"offset={_BEGIN * _SECTOR}", str(file), str(blocks)])
        self.programs = folder / "programs"
        """To be the first folder of PATH."""
        self.programs.mkdir()
        program = self.programs / PROGRAM
        program.write_text(
            "#!/bin/sh\nname=\n"
            'for word in "$@"; do case $word in guest=nodisk-*/*) name=${word##*/} ;; esac; done\n'
            f'[ "$name" ] && set -- "$@" -drive if=none,id=disk,format=raw,file={shlex.quote(str(folder))}/$name.img'
            " -device virtio-blk-pci,drive=disk,bootindex=2\n"
            f'exec {shutil.which(PROGRAM)} "$@"\n'
        )
        program.chmod(0o755)

    def hashes(self) -> dict[str, str]:
        """Machine → SHA-256 of all its disk."""
        return {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in self._files.items()}
