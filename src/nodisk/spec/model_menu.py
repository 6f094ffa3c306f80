"""lab.yaml's model: the boot menu."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nodisk.spec.section import Section
from nodisk.values import Name


class MenuChoice(Section):
    """What a role or a machine has otherwise than the lab's `menu`."""

    default: str | None = None
    """The entry that starts by itself."""
    timeout: Annotated[int, Field(ge=0, le=3600)] | None = None
    """Seconds for which the menu waits for a key; 0: no menu."""


class MenuEntry(Section):
    """Another system of the room."""

    name: Name
    """Its name for `default` and `nodisk next-boot`."""
    title: str | None = None
    """The line in the menu, in plain ASCII; absent: its name."""
    url: str | None = None
    """What to chain to: an iPXE script or a program that iPXE starts. GRUB, with Secure Boot, takes only a signed
    `.efi` from http or tftp."""
    kernel: str | None = None
    """Instead of `url`: the URL of a Linux kernel. With Secure Boot it must be signed, and come by http or tftp."""
    initrd: str | None = None
    """With `kernel`: the URL of its initramfs."""
    arguments: str = ""
    """With `kernel`: its command line. Everybody on the wire can read it."""
    password: bool = False
    """`true`: asks for the menu's password (`nodisk menu password`). GRUB's menu leaves such an entry out."""


class Menu(Section):
    """What a machine shows before it boots: the lab, its disk, `entries`, a shell (by password), reboot, power off."""

    default: str = "lab"
    """The entry that starts by itself: `lab`, `disk` or the name of one of `entries` that asks for no password."""
    timeout: Annotated[int, Field(ge=0, le=3600)] = 0
    """Seconds for which the menu waits for a key; 0: no menu, `default` starts at once."""
    entries: tuple[MenuEntry, ...] = ()
    """More systems."""
