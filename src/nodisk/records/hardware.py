"""What a machine measured of itself in an inventory boot. The report comes from the network: every value is bounded.

It is shown to people and compared with lab.yaml; nothing is decided by it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

MIB = 1024 * 1024
GIB = 1024 * MIB

Text = Annotated[str, Field(max_length=64, pattern=r"^[ -~]*$")]
"""Printable ASCII: it is shown on a terminal."""
Count = Annotated[int, Field(ge=0, le=1 << 26)]
Bytes = Annotated[int, Field(ge=0, le=1 << 60)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


class Disk(_Part):
    """A block device with hardware behind it."""

    name: Text
    bytes: Bytes
    model: Text
    rotational: bool


class Nic(_Part):
    """A network interface with hardware behind it."""

    name: Text
    mac: Annotated[str, Field(pattern=r"^[0-9a-f]{2}(:[0-9a-f]{2}){5}$")]
    driver: Text
    id: Annotated[str, Field(pattern=r"^((pci|usb):[0-9a-f]{4}:[0-9a-f]{4})?$")]
    """As ``assets.nic_drivers`` names it; empty for one behind a bus of its own."""
    link: bool
    mbps: Count
    """The link's speed; 0: no link, or the driver doesn't say."""


class MemoryTest(_Part):
    """A pattern was written to RAM once, and read again and again."""

    mib: Count
    passes: Count
    errors: Count
    """Passes that read something else than was written."""


class Link(_Part):
    """A download from the server."""

    bytes: Bytes
    milliseconds: Count

    @property
    def mbps(self) -> int:
        """Megabits a second."""
        return self.bytes * 8 // 1000 // max(self.milliseconds, 1)


class Hardware(_Part):
    """The whole report."""

    cpu: Text
    cores: Annotated[int, Field(ge=1, le=4096)]
    threads: Annotated[int, Field(ge=1, le=4096)]
    memory_mib: Annotated[int, Field(ge=1, le=1 << 26)]
    """Installed RAM as Linux sees it, in blocks of 128 MiB; what a graphics chip takes may be missing."""
    firmware: Literal["BIOS", "UEFI"]
    secure_boot: bool | None
    """None: BIOS, or UEFI that doesn't say."""
    disks: Annotated[list[Disk], Field(max_length=64)]
    nics: Annotated[list[Nic], Field(max_length=32)]
    memory_test: MemoryTest
    link: Link

    def lines(self) -> list[tuple[str, str]]:
        """Each part in words, under its heading."""
        secure = {None: "", True: ", Secure Boot on", False: ", Secure Boot off"}[self.secure_boot]
        test = self.memory_test
        verdict = f"{test.errors} of {test.passes} passes FAILED" if test.errors else f"{test.passes} passes, no error"
        return [
            ("cpu", f"{self.cpu}, {self.cores} cores, {self.threads} threads"),
            ("memory", f"{self.memory_mib} MiB"),
            ("boots by", f"{self.firmware}{secure}"),
            *(
                (f"disk {one.name}", f"{one.bytes / GIB:.1f} GiB, {one.model or 'no model'}, {_kind(one)}")
                for one in self.disks
            ),
            *((f"nic {one.name}", f"{one.mac}, {one.driver or 'no driver'}, {_speed(one)}") for one in self.nics),
            ("memory test", f"{test.mib} MiB, {verdict}" if test.passes else "not done"),
            ("link test", f"{self.link.mbps} Mbit/s from the server" if self.link.bytes else "not done"),
        ]


def _kind(disk: Disk) -> str:
    return "rotates" if disk.rotational else "solid state"


def _speed(nic: Nic) -> str:
    if not nic.link:
        return "no link"
    return f"{nic.mbps} Mbit/s" if nic.mbps else "link of unknown speed"


def parse(body: bytes) -> Hardware:
    """Check a report; raises ValueError with the first thing that is wrong, without any of the report's text."""
    try:
        return Hardware.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        known = {*Hardware.model_fields, *Disk.model_fields, *Nic.model_fields, *MemoryTest.model_fields}
        where = ".".join(str(part) for part in first["loc"] if isinstance(part, int) or part in known)
        raise ValueError(f"{where or 'the report'}: {first['type']}") from None
