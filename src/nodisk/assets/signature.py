"""Who signed a program for UEFI: the certificates inside it (Authenticode, as the PE format has it).

It only says what is there. Whether the signature holds is for shim and the firmware to say, whenever they load it.
"""

from __future__ import annotations

import struct
from pathlib import Path

from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID

_OPTIONAL_HEADER = 24
_PE32_PLUS = 0x20B
_CERTIFICATE_TABLE = 112 + 4 * 8
"""Offset in PE32+'s optional header of the fifth data directory."""
_PKCS7 = 0x0002


def signers(program: Path) -> tuple[str, ...]:
    """Common names of the certificates that a 64-bit UEFI program carries; empty: nobody signed it.

    Raises ValueError for what is no such program.
    """
    data = program.read_bytes()
    try:
        if data[:2] != b"MZ":
            raise ValueError("it is no 64-bit UEFI program")
        header = int(struct.unpack_from("<I", data, 0x3C)[0])
        magic = struct.unpack_from("<H", data, header + _OPTIONAL_HEADER)[0]
        if data[header : header + 4] != b"PE\0\0" or magic != _PE32_PLUS:
            raise ValueError("it is no 64-bit UEFI program")
        place, size = struct.unpack_from("<II", data, header + _OPTIONAL_HEADER + _CERTIFICATE_TABLE)
        return tuple(_names(data[place : place + size]))
    except struct.error as error:
        raise ValueError("it is no whole UEFI program") from error


def _names(table: bytes) -> list[str]:
    """Of each WIN_CERTIFICATE in the attribute certificate table; their starts are multiples of 8."""
    names: list[str] = []
    while len(table) >= 8:
        length, _, kind = struct.unpack_from("<IHH", table)
        if not 8 < length <= len(table):
            raise ValueError("its certificate table is damaged")
        if kind == _PKCS7:
            for certificate in pkcs7.load_der_pkcs7_certificates(_unpadded(table[8:length])):
                names += [str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        table = table[(length + 7) // 8 * 8 :]
    return names


def _unpadded(der: bytes) -> bytes:
    """A DER value without what follows it: the entry of some signers is filled up to a multiple of 8 (X.690, 8.1.3)."""
    if len(der) > 1 and der[1] & 0x80:
        first = 2 + (der[1] & 0x7F)
        return der[: first + int.from_bytes(der[2:first])]
    return der
