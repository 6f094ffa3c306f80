"""What a machine starts at its next boot, in words, and what can be chosen: of the menu, what asks for no password."""

from __future__ import annotations

from nodisk.errors import UsageError
from nodisk.records.next_boots import NextBoot
from nodisk.spec import menu
from nodisk.spec.model import Lab


def need_able(lab: Lab, entry: str) -> None:
    """Raise UsageError for an entry that can't start without anybody at the keyboard, or that there isn't."""
    able = menu.names(lab)
    if entry in able:
        return
    if entry in every(lab):
        raise UsageError(f"{entry} can only be chosen at the machine", hint=f"one of {', '.join(able)}")
    raise UsageError(f"the menu has no entry {entry!r}", hint=f"one of {', '.join(able)}")


def every(lab: Lab) -> list[str]:
    """All entries of the menu, those for somebody at the keyboard too."""
    own = [str(one.name) for one in lab.menu.entries]
    return [menu.LAB, menu.DISK, *own, menu.SHELL, menu.REBOOT, menu.POWEROFF]


def shown(lab: Lab, wish: NextBoot | None) -> str:
    """What was chosen, with a word if that can't be any more."""
    gone = wish is not None and wish.entry not in menu.names(lab)
    return f"{words(wish)}; the menu has no such entry any more" if gone else words(wish)


def words(wish: NextBoot | None) -> str:
    """What was chosen."""
    if wish is None:
        return "its default"
    if not wish.once:
        return f"{wish.entry}, until cleared"
    return f"{wish.entry}, once" if wish.served is None else f"its default ({wish.entry} was started once)"
