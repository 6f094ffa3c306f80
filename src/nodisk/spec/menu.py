"""The boot menu: what a machine shows or starts, and what may stand in it. Pure; ``spec.rules`` places the problems.

Titles, URLs and arguments get into iPXE and GRUB scripts. GRUB has quotes; iPXE has none: it splits a line at blanks,
ends a command at a word ``||``, ``&&`` or ``;``, drops what follows a word that begins with ``#``, joins lines after a
backslash, and replaces ``${…}`` in every word (ipxe.org/scripting). So what would mean something to it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from nodisk.spec.model import Lab, Machine
from nodisk.spec.model_menu import Menu, MenuChoice, MenuEntry
from nodisk.yamltree import Path

LAB, DISK, SHELL, REBOOT, POWEROFF, MENU = "lab", "disk", "shell", "reboot", "poweroff", "menu"
BUILT_IN = (LAB, DISK, SHELL, REBOOT, POWEROFF, MENU)
"""Names of entries that every menu has; ``menu`` is the menu itself."""
LONGEST_TITLE = 60
"""Characters: a screen has 80, of which GRUB's frame and iPXE's margin take some."""
LONGEST_ARGUMENTS = 1500
"""Characters: Linux reads 2047, and the loaders add words of their own."""
LONGEST_URL = 300
SCHEMES = ("http", "https", "tftp")

_TITLE = re.compile(r"[A-Za-z0-9(]([A-Za-z0-9 ._,:()+/@!?'=*-]*[A-Za-z0-9.)!?+'*])?")
_URL = re.compile(r"[A-Za-z0-9._~:/?@!&()*+,;=%\[\]-]+")
_WORD = re.compile(r"[!-~]+")
_ENDS = ("||", "&&", ";")


@dataclass(frozen=True, slots=True)
class Choice:
    """What one machine starts by itself."""

    default: str
    timeout: int
    """Seconds; 0: no menu."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """A problem and its place."""

    path: Path
    what: str
    hint: str
    about: tuple[Path, ...] = ()
    is_key: bool = False


_NOTHING = MenuChoice()


def choice(lab: Lab, machine: Machine) -> Choice:
    """A machine's own settings count before its role's, and those before the lab's."""
    role = lab.roles[machine.role].menu if machine.role in lab.roles else _NOTHING
    own = machine.menu
    default = own.default or role.default or lab.menu.default
    timeouts = (own.timeout, role.timeout, lab.menu.timeout)
    return Choice(default, next(seconds for seconds in timeouts if seconds is not None))


def entry(lab: Lab, name: str) -> MenuEntry | None:
    """The entry of that name among lab.yaml's; None: a built-in one, or none."""
    return next((one for one in lab.menu.entries if str(one.name) == name), None)


def names(lab: Lab) -> tuple[str, ...]:
    """What can start without anybody at the keyboard: nothing that asks for a password, or goes in circles."""
    return (LAB, DISK, *(str(one.name) for one in lab.menu.entries if not one.password))


def asks(lab: Lab, name: str) -> bool:
    """Whether an entry of that name asks for the menu's password."""
    found = entry(lab, name)
    return name == SHELL or (found is not None and found.password)


def title(one: MenuEntry) -> str:
    """Its line in the menu."""
    return one.title or str(one.name)


def problems(lab: Lab) -> Iterator[Wrong]:
    """Everything that is wrong with the menu's texts and names."""
    seen: dict[str, int] = {}
    for index, one in enumerate(lab.menu.entries):
        place: Path = ("menu", "entries", index)
        name = str(one.name)
        if name in BUILT_IN:
            yield Wrong((*place, "name"), f"every menu has an entry {name} already", "choose another name")
        elif name in seen:
            first: Path = ("menu", "entries", seen[name], "name")
            yield Wrong((*place, "name"), f"the entry {name} is there twice", "choose another name", about=(first,))
        seen.setdefault(name, index)
        yield from _entry(place, one)
    yield from _defaults(lab)


def _entry(place: Path, one: MenuEntry) -> Iterator[Wrong]:
    if one.title is not None and not (_TITLE.fullmatch(one.title) and len(one.title) <= LONGEST_TITLE):
        hint = f"at most {LONGEST_TITLE} ASCII letters, digits, blanks and ._,:()+/@!?'=*- with a letter or digit first"
        yield Wrong((*place, "title"), f"{one.title[:80]!r} can't stand in a menu", hint)
    if (one.url is None) == (one.kernel is None):
        about: tuple[Path, ...] = ((*place, "url"), (*place, "kernel"))
        yield Wrong(place, "an entry has either a `url` or a `kernel`", "`url: http://…` to chain to it", about=about)
    for key in ("initrd", "arguments"):
        if getattr(one, key) and one.kernel is None:
            text, hint = f"`{key}` means nothing without `kernel`", "add `kernel: http://…`, or remove it"
            yield Wrong((*place, key), text, hint, about=((*place, "kernel"),), is_key=True)
    for key in ("url", "kernel", "initrd"):
        url = getattr(one, key)
        if url is not None and not is_url(url):
            hint = f"{', '.join(f'{scheme}://' for scheme in SCHEMES[:-1])} or {SCHEMES[-1]}://, without account or #"
            yield Wrong((*place, key), f"{url[:80]!r} is not a URL that iPXE can be given", hint)
    if len(one.arguments) > LONGEST_ARGUMENTS:
        text = f"{len(one.arguments)} characters of arguments: at most {LONGEST_ARGUMENTS}"
        yield Wrong((*place, "arguments"), text, "shorten them")
    for word in one.arguments.split():
        if not is_word(word):
            hint = "printable ASCII without quotes, $ and \\; no word that is ||, && or ; or begins with #"
            yield Wrong((*place, "arguments"), f"iPXE can't be given the argument {word[:40]!r}", hint)
            break


def _defaults(lab: Lab) -> Iterator[Wrong]:
    able = names(lab)
    sections: list[tuple[Path, Menu | MenuChoice]] = [((), lab.menu)]
    sections += [(("roles", role.value), settings.menu) for role, settings in lab.roles.items()]
    sections += [(("machines", index), machine.menu) for index, machine in enumerate(lab.machines)]
    for place, section in sections:
        path, name = (*place, "menu", "default"), section.default
        if name is None or name in able:
            continue
        if asks(lab, name):
            text = f"{name} asks for a password: it can't start by itself"
        elif name in BUILT_IN:
            text = f"{name} can't be the default"
        else:
            text = f"the menu has no entry {name[:63]!r}"
        yield Wrong(path, text, f"one of {', '.join(able)}", about=(("menu", "entries"),))


def is_url(text: str) -> bool:
    """Whether iPXE can be given this URL, in a script."""
    try:
        parts = urlsplit(text)
        sound = parts.scheme in SCHEMES and bool(parts.hostname) and parts.port != 0 and parts.username is None
    except ValueError:
        return False
    return sound and len(text) <= LONGEST_URL and bool(_URL.fullmatch(text))


def is_word(text: str) -> bool:
    """Whether iPXE takes this word of a command for what it is."""
    return bool(_WORD.fullmatch(text)) and text not in _ENDS and text[0] != "#" and not set(text) & set("$\\\"'`")
