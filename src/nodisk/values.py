"""Value types that are parsed once, at the edge: inside there are no raw strings for these.

Each is made by ``parse`` (raises ValueError with a sentence for the user) and prints as its canonical text.
pydantic models may use them as field types: they validate from a string and serialise to one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import total_ordering
from typing import Any, ClassVar, Self

# RFC 1123 section 2.1 as Kubernetes reads it: a node's name is a DNS label here, so that it is a host name too.
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# Six bytes with one of these marks, or none, between any two: Linux, Windows, Cisco (8cec.4b00.0005), HP
# (8cec4b-000005) and labels. A leading 01 is the kind of hardware, Ethernet, in DHCP client ids and PXELINUX's names.
_MAC = re.compile(r"(?:01[:. -]?)?[0-9A-Fa-f]{2}(?:[:. -]?[0-9A-Fa-f]{2}){5}", re.ASCII)
# macOS and BSD leave out leading zeros: 8c:ec:4b:0:0:5.
_SHORT_MAC = re.compile(r"[0-9A-Fa-f]{1,2}(?::[0-9A-Fa-f]{1,2}){5}", re.ASCII)
_VERSION = re.compile(r"v?(\d{1,4})\.(\d{1,4})(?:\.(\d{1,6}))?([-+][0-9A-Za-z.+-]+)?")
_SEAT = re.compile(r"([1-9][0-9]{0,2}), ?([1-9][0-9]{0,2})")
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,18})?)\s*([KMGT]i?)?B?", re.IGNORECASE)

# The path's letters, a port in the host, and a tag of at most 128 characters.
_IMAGE = re.compile(
    r"(?P<path>[A-Za-z0-9][A-Za-z0-9._-]*(?::\d{1,5}(?=/))?(?:/[a-z0-9][a-z0-9._-]*)*):(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127})"
)


class Parsed:
    """What pydantic needs to use a value type as a field's type."""

    schema: ClassVar[dict[str, Any]] = {"type": "string"}

    @classmethod
    def parse(cls, text: str) -> Self:
        """The value that a text means; raises ValueError with a sentence, and after ``; `` what to do."""
        raise NotImplementedError

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema  # noqa: PLC0415 - only where a model is made

        def validate(value: object) -> object:
            if isinstance(value, cls):
                return value
            if not isinstance(value, str):
                raise ValueError(f"expected a string, not {value!r}; put it in quotes")
            return cls.parse(value)

        return core_schema.no_info_plain_validator_function(validate, serialization=core_schema.to_string_ser_schema())

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: Any) -> dict[str, Any]:
        return dict(cls.schema)


@dataclass(frozen=True, slots=True, order=True)
class Mac(Parsed):
    """A unicast Ethernet address; prints as ``52:54:00:ab:01:02``."""

    value: int
    schema: ClassVar[dict[str, Any]] = {
        "type": "string",
        "pattern": f"^({_MAC.pattern}|{_SHORT_MAC.pattern})$",
    }

    @classmethod
    def parse(cls, text: str) -> Self:
        """Accept every usual spelling of the six bytes; refuse multicast and all-zero addresses."""
        word = text.strip()
        if _SHORT_MAC.fullmatch(word):
            octets = bytes(int(part, 16) for part in word.split(":"))
        elif _MAC.fullmatch(word):
            octets = bytes.fromhex(re.sub("[:. -]", "", word)[-12:])
        else:
            raise ValueError(f"{text!r} is not a MAC address; write it as 52:54:00:ab:01:02")
        if octets[0] & 1:
            raise ValueError(f"{text!r} is a multicast address, which no NIC has")
        if not any(octets):
            raise ValueError(f"{text!r} is all zeros, which no NIC has")
        return cls(int.from_bytes(octets, "big"))

    def __str__(self) -> str:
        return self.value.to_bytes(6, "big").hex(":")

    @property
    def hyphened(self) -> str:
        """In the form of iPXE's ``${mac:hexhyp}``: ``52-54-00-ab-01-02``; used in URLs and file names."""
        return self.value.to_bytes(6, "big").hex("-")


@dataclass(frozen=True, slots=True, order=True)
class Name(Parsed):
    """A DNS label (RFC 1123): the name of a lab, a machine, a class."""

    value: str
    schema: ClassVar[dict[str, Any]] = {
        "type": "string",
        "pattern": r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
    }

    @classmethod
    def parse(cls, text: str) -> Self:
        """Refuse a name that is not a DNS label, and say what one is."""
        if not _LABEL.fullmatch(text):
            raise ValueError(
                f"{text!r} is not a name: at most 63 lower-case letters, digits and hyphens, "
                "with a letter or digit first and last (RFC 1123)"
            )
        return cls(text)

    def __str__(self) -> str:
        return self.value


@total_ordering
@dataclass(frozen=True, slots=True)
class Seat(Parsed):
    """Where in the room a machine stands; prints as ``2,3``: the third place of the second row."""

    row: int
    column: int
    schema: ClassVar[dict[str, Any]] = {"type": "string", "pattern": f"^{_SEAT.pattern}$"}

    @classmethod
    def parse(cls, text: str) -> Self:
        """Accept ``2,3`` and ``2, 3``; rows and places count from 1."""
        match = _SEAT.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is not a seat; write it as ROW,COLUMN, such as 2,3")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.row},{self.column}"

    def __lt__(self, other: Seat) -> bool:
        return (self.row, self.column) < (other.row, other.column)


@total_ordering
@dataclass(frozen=True, slots=True)
class KubeVersion(Parsed):
    """A version of Kubernetes; prints as ``1.36.1``. The patch may be absent: ``1.36`` is the newest of that line."""

    major: int
    minor: int
    patch: int | None = None
    schema: ClassVar[dict[str, Any]] = {"type": "string", "pattern": r"^v?\d+\.\d+(\.\d+)?$"}

    @classmethod
    def parse(cls, text: str) -> Self:
        """Accept ``1.36``, ``1.36.1`` and ``v1.36.1``; refuse a release candidate, whose files have other names."""
        match = _VERSION.fullmatch(text.strip())
        if match is not None and match[4]:
            raise ValueError(f"{text!r} is not a released version of Kubernetes; use a form like 1.36.1")
        return cls.printed(text)

    @classmethod
    def printed(cls, text: str) -> Self:
        """From a version as components print it, ``v1.20.2-dirty`` or ``v1.36.1+build``, without the suffix."""
        match = _VERSION.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is not a version of Kubernetes; use a form like 1.36.1")
        major, minor, patch, _ = match.groups()
        return cls(int(major), int(minor), None if patch is None else int(patch))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}" + ("" if self.patch is None else f".{self.patch}")

    def __lt__(self, other: KubeVersion) -> bool:
        return self.key < other.key

    @property
    def key(self) -> tuple[int, int, int]:
        """A key for comparing; a version without a patch counts as the first of its line."""
        return (self.major, self.minor, self.patch or 0)

    @property
    def line(self) -> tuple[int, int]:
        """Major and minor: ``(1, 36)``."""
        return (self.major, self.minor)


@dataclass(frozen=True, slots=True, order=True)
class Size(Parsed):
    """An amount of memory or disk in bytes; prints as ``2Gi``. Both ``2G`` and ``2Gi`` mean 2 × 2³⁰, as for RAM."""

    bytes: int
    schema: ClassVar[dict[str, Any]] = {"type": "string", "pattern": r"^\d+(\.\d+)?\s*([KMGTkmgt]i?)?[Bb]?$"}

    @classmethod
    def parse(cls, text: str) -> Self:
        """Accept ``2GiB``, ``2G``, ``1024 MiB``, ``1.5Gi`` or a number of bytes."""
        match = _SIZE.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is not a size; use a form like 2GiB or 512MiB")
        number, unit = match.groups()
        power = "KMGT".index(unit[0].upper()) + 1 if unit else 0
        return cls(int(float(number) * 1024**power))

    def __str__(self) -> str:
        for power, unit in ((4, "Ti"), (3, "Gi"), (2, "Mi"), (1, "Ki")):
            if self.bytes >= 1024**power and self.bytes % 1024**power == 0:
                return f"{self.bytes // 1024**power}{unit}"
        return str(self.bytes)

    @property
    def mib(self) -> int:
        """Whole MiB, rounded down."""
        return self.bytes // 1024**2


@dataclass(frozen=True, slots=True)
class ImageRef:
    """A container image by its tag, in parts (the reference grammar of github.com/distribution/reference)."""

    host: str | None
    """The registry in the name; None: any."""
    path: str
    tag: str

    @classmethod
    def parse(cls, text: str) -> ImageRef:
        """``registry.k8s.io/coredns/coredns:v1.12.0``; raises ValueError for a name by digest or without a tag."""
        match = _IMAGE.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not the name of a container image with a tag")
        first, _, rest = match["path"].partition("/")
        if rest and ("." in first or ":" in first or first == "localhost"):
            return cls(first, rest, match["tag"])
        return cls(None, match["path"], match["tag"])

    @property
    def program(self) -> str:
        """The last part of the path: ``coredns``."""
        return self.path.rpartition("/")[2]

    def __str__(self) -> str:
        """As ``parse`` reads it."""
        return f"{'' if self.host is None else self.host + '/'}{self.path}:{self.tag}"


class Role(StrEnum):
    """What a machine is in the cluster."""

    CONTROL_PLANE = "control-plane"
    WORKER = "worker"


class Stage(StrEnum):
    """A machine's progress from power-on to Ready, in order."""

    DHCP = "dhcp"
    IPXE = "ipxe"
    KERNEL = "kernel"
    ROOTFS = "rootfs"
    CONFIG = "config"
    OS = "os"
    ENROLLED = "enrolled"
    JOINED = "joined"
    READY = "ready"
    FAILED = "failed"
