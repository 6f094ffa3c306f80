"""What a machine will get, in readable form: for ``nodisk render`` and the golden tests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from nodisk.plan import boot, grub, ignition, snippets
from nodisk.plan.facts import Facts
from nodisk.spec.model import Lab, Machine


def texts(lab: Lab, facts: Facts, machine: Machine, *, where: snippets.Where = snippets.words) -> dict[str, str]:
    """What a machine is served, by name, without a nonce: boot script, kernel command line, Ignition.

    ``address`` is the script that comes before where a pool gave the machine another address.

    ``grub`` is there for a machine that gets signed loaders by UEFI.

    A nonce is minted for each boot while the lab is armed; this shows the script of a disarmed lab.
    """
    return {
        "script": boot.machine_script(lab, facts, machine, None),
        **({"grub": grub.machine_script(lab, facts, machine, None)} if lab.signed_loader(machine) else {}),
        "address": boot.address_script(lab, machine),
        "cmdline": boot.command_line(lab, facts, machine, None) + "\n",
        "ignition": ignition.render(lab, facts, machine, where=where),
    }


def daemons(machine: Machine, texts: Mapping[str, str]) -> str:
    """The server's daemon configurations (by file name), preceded by their lines that name this machine."""
    parts = [f"===== lines that name {machine.name}\n"]
    parts += [f"{name}:{number}: {line}\n" for name, text in texts.items() for number, line in naming(machine, text)]
    parts += [f"\n===== {name}\n{text}" for name, text in texts.items()]
    return "".join(parts)


def naming(machine: Machine, text: str) -> Iterator[tuple[int, str]]:
    """The lines of a text (counted from 1) in which the machine's name, MAC or address is a separate word."""
    words = "|".join(re.escape(str(word)) for word in (machine.name, machine.mac, machine.address))
    pattern = re.compile(rf"(?<![\w./-])(?:{words})(?![\w/-]|\.\d)")
    for number, line in enumerate(text.splitlines(), 1):
        if pattern.search(line):
            yield number, line.strip()
