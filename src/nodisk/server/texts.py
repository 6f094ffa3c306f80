"""What the application serves to one machine, rendered from lab and facts on demand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nodisk.plan import boot, grub, grub_menu
from nodisk.plan import menu as ipxe_menu
from nodisk.plan.facts import AssetRef, Facts
from nodisk.records import served
from nodisk.spec import menu
from nodisk.spec.model import Lab, Machine
from nodisk.values import Mac


def _nobody(_: Mac) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Config:
    """A machine's Ignition config, ready to be sent and to be recorded."""

    body: bytes
    packed: bytes
    """As ``served.pack`` made it."""

    @classmethod
    def of(cls, text: str) -> Config:
        """From its text."""
        return cls(text.encode(), served.pack(text))


@dataclass(frozen=True, slots=True)
class Held:
    """A build at which machines may be held."""

    facts: Facts
    ignitions: Mapping[Mac, Config]
    """As ``Texts.ignitions``."""


@dataclass(frozen=True, slots=True)
class Texts:
    """The plan, as far as machines fetch it."""

    lab: Lab
    facts: Facts
    ignitions: dict[Mac, Config]
    """The Ignition config of every machine, rendered once when the server starts, so that a mistake in a Butane
    snippet stops the server and not a machine."""
    daemons: dict[str, str]
    """The daemons' configurations in force, by file name."""
    kubectl: AssetRef | None = None
    """The release's kubectl for Linux, if it has one."""
    held: Mapping[str, Held] = field(default_factory=dict)
    """By key, the builds at which machines may be held."""
    held_at: Callable[[Mac], str | None] = _nobody
    """The key of the build at which a machine is held now; None: the current one, as for a key that is not known, which
    is that of a machine held at the current build."""

    def _facts(self, machine: Machine) -> Facts:
        found = self._held(machine)
        return self.facts if found is None else found.facts

    def _held(self, machine: Machine) -> Held | None:
        key = self.held_at(machine.mac)
        return None if key is None else self.held.get(key)

    def image(self, machine: Machine) -> str:
        """The SHA-256 of the rootfs that a machine boots."""
        return self._facts(machine).image.rootfs.sha256

    def entry(self) -> str:
        """``/boot.ipxe``."""
        return boot.entry_script(self.lab)

    def script(self, machine: Machine, nonce: str | None) -> str:
        """``/boot/MAC.ipxe`` of a machine of the lab."""
        return boot.machine_script(self.lab, self._facts(machine), machine, nonce)

    def other(self, machine: Machine, entry: str) -> str:
        """``/boot/MAC.ipxe`` that shows the menu, or starts another entry than the lab."""
        if entry == menu.MENU:
            return ipxe_menu.menu_script(self.lab, machine)
        return ipxe_menu.entry_script(self.lab, machine, entry)

    def address(self, machine: Machine, holder: Mac | None) -> str:
        """``/boot/MAC.ipxe`` of a machine that asks from another address; ``holder``: who has its own."""
        if holder is None:
            return boot.address_script(self.lab, machine)
        return boot.address_in_use_script(self.lab, machine, holder)

    def twin(self, machine: Machine) -> str:
        """``/boot/MAC.ipxe`` of a second machine with the MAC of one that runs."""
        return boot.twin_script(machine)

    def disk(self, machine: Machine) -> str:
        """``/boot/MAC.ipxe`` of a machine of the lab outside of lessons."""
        return boot.disk_script(self.lab, machine)

    def unknown(self, mac: Mac) -> str:
        """``/boot/MAC.ipxe`` of any other."""
        return boot.unknown_script(self.lab, mac)

    def grub_entry(self) -> str:
        """``/grub/grub.cfg``."""
        return grub.entry_script(self.lab)

    def grub_script(self, machine: Machine, nonce: str | None) -> str:
        """``/grub/MAC.cfg`` of a machine of the lab."""
        return grub.machine_script(self.lab, self._facts(machine), machine, nonce)

    def grub_disk(self, machine: Machine) -> str:
        """``/grub/MAC.cfg`` of a machine of the lab outside of lessons."""
        return grub.disk_script(self.lab, machine)

    def grub_address(self, machine: Machine, holder: Mac | None) -> str:
        """``/grub/MAC.cfg`` of a machine that asks from another address; ``holder``: who has its own."""
        if holder is None:
            return grub.address_script(self.lab, machine)
        return grub.address_in_use_script(self.lab, machine, holder)

    def grub_other(self, machine: Machine, entry: str) -> str:
        """``/grub/MAC.cfg`` that shows the menu, or starts another entry than the lab."""
        if entry == menu.MENU:
            return grub_menu.menu_script(self.lab, machine)
        return grub_menu.entry_script(self.lab, machine, entry)

    def grub_unknown(self, mac: Mac) -> str:
        """``/grub/MAC.cfg`` of any other."""
        return grub.unknown_script(self.lab, mac)

    def ignition(self, machine: Machine) -> Config:
        """``/ignition/MAC``."""
        found = self._held(machine)
        return (self.ignitions if found is None else found.ignitions)[machine.mac]
