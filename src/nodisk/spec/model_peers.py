"""lab.yaml's model: machines that give the image to each other."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator

from nodisk.spec.section import Section
from nodisk.values import Parsed

_RATE = re.compile(r"(\d{1,6})\s*([KMG])(?:bit(?:/s|ps)?|bps)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Rate(Parsed):
    """Speed of a wire in bits a second, as switches and NICs count it; prints as ``200M``."""

    bits: int
    schema: ClassVar[dict[str, Any]] = {"type": "string", "pattern": r"^\d{1,6}\s*[KMGkmg]([Bb]it(/s|ps)?|bps)?$"}

    @classmethod
    def parse(cls, text: str) -> Self:
        """Accept ``200M``, ``200 Mbit/s``, ``1G``."""
        match = _RATE.fullmatch(text.strip())
        if match is None or int(match[1]) == 0:
            raise ValueError(f"{text!r} is no rate; use a form like 200M or 1G, in bits a second")
        return cls(int(match[1]) * 1000 ** ("KMG".index(match[2].upper()) + 1))

    def __str__(self) -> str:
        for power, unit in ((3, "G"), (2, "M")):
            if self.bits % 1000**power == 0:
                return f"{self.bits // 1000**power}{unit}"
        return f"{self.bits // 1000}K"

    @property
    def bytes(self) -> int:
        """The same in bytes a second."""
        return self.bits // 8


class Peers(Section):
    """Machines that fetch the image, and container images, from each other, not only over the server's wire."""

    rate: Rate = Rate(200_000_000)
    """How much a running machine gives to others at most, in bits a second: `200M`, `1G`; parts of the image that it
    booted and layers of container images each. While it boots it has no limit."""
    layers: bool = True
    """Whether workers also give each other layers of container images, for which they keep compressed copies in RAM."""


PeersOrOff = Annotated[
    Peers | None,
    BeforeValidator(
        lambda value: None if value == "off" else value, json_schema_input_type=Peers | Literal["off"] | None
    ),
]
"""``peers: off`` says in lab.yaml what its absence means."""
