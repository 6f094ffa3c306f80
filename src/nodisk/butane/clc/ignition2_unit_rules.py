"""The rules of Ignition 2.1.0, 2.2.0 and 2.3.0 for units of systemd and systemd-networkd."""

from __future__ import annotations

from typing import Any

from nodisk.butane import unitfile
from nodisk.butane.clc.walk import Rule, Said
from nodisk.butane.gojson import quote
from nodisk.butane.rules import UNIT_SUFFIXES, extension


def _unit_words(error: unitfile.UnitError) -> str:
    """In Ignition 2's words, which show garbage as a list of bytes."""
    if error.garbage:
        return f"invalid unit content: found garbage after section name : [{' '.join(map(str, error.garbage))}]"
    return f"invalid unit content: {error}"


class UnitRules:
    """Ignition 2.x's rules for units; 2.1.0 words some otherwise."""

    def __init__(self, target: int) -> None:
        self.target = target

    def table(self) -> dict[str, dict[str, Rule]]:
        """As ``Rules.table``."""
        return {
            "Unit": {"contents": self._unit_contents, "name": self._unit_name},
            "SystemdDropin": {"": self._dropin},
            "NetworkdUnit": {"": self._network_unit},
            "NetworkdDropin": {"": self._network_dropin},
        }

    def _unit_contents(self, values: Any) -> Said:
        name, contents = values.get("name", ""), values.get("contents", "")
        try:
            sections = unitfile.sections(contents)
        except unitfile.UnitError as error:
            yield "error", _unit_words(error)
            return
        enabled = values.get("enable") or values.get("enabled")
        # A text without any option looks to ct like one that it could not read.
        if self.target >= 2 and enabled and contents and sections and "Install" not in sections:
            yield "warning", f"unit {quote(name)} is enabled, but has no install section so enable does nothing"

    def _unit_name(self, values: Any) -> Said:
        if extension(values.get("name", "")) not in UNIT_SUFFIXES:
            yield "error", "invalid systemd unit extension"

    def _dropin(self, values: Any) -> Said:
        yield from self._text(values)
        suffix = extension(values.get("name", ""))
        if suffix != "conf":
            dotted = quote("." + suffix if suffix or values.get("name", "").endswith(".") else "")
            old = f"invalid systemd unit drop-in extension: {dotted}"
            yield "error", old if self.target == 1 else "invalid systemd drop-in extension"

    def _text(self, values: Any) -> Said:
        try:
            unitfile.sections(values.get("contents", ""))
        except unitfile.UnitError as error:
            yield "error", _unit_words(error)

    def _network_unit(self, values: Any) -> Said:
        yield from self._text(values)
        if extension(values.get("name", "")) not in ("link", "netdev", "network"):
            yield "error", "invalid networkd unit extension"

    def _network_dropin(self, values: Any) -> Said:
        yield from self._text(values)
        if extension(values.get("name", "")) != "conf":
            yield "error", "invalid networkd drop-in extension"
