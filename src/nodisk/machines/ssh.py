"""Logging in to machines by name. A machine makes new host keys at every boot and reports them when it enrols.

That report comes over TLS with the boot's one-time nonce, so ``nodisk ssh`` trusts exactly those keys and asks nobody:
the known_hosts file is rewritten for each call, and checking is never switched off.
"""

from __future__ import annotations

from pathlib import Path

from nodisk import files
from nodisk.context import LabContext
from nodisk.errors import EnvironmentProblem, NodiskError
from nodisk.records import virtual_lab
from nodisk.records.database import Database
from nodisk.spec.lookup import machine_named
from nodisk.spec.model import Machine

USER = "admin"
PATIENCE = 20
"""Seconds for the connection and sshd's first line (ConnectTimeout of ssh_config(5))."""
EMULATED_PATIENCE = 90
"""The same for a busy emulated machine, which may take 20 seconds to start the program that says that line."""


def known_hosts(machine: Machine, keys: tuple[str, ...]) -> str:
    """One machine's lines of a known_hosts file (sshd(8)), by its name."""
    return "".join(f"{machine.name} {key}\n" for key in keys)


def arguments(context: LabContext, name: str, command: tuple[str, ...]) -> list[str | Path]:
    """ssh's argument list; raises UsageError for an unknown name, NodiskError for a machine that never enrolled."""
    machine = machine_named(context.lab, name)
    if not context.lab.ssh_keys:
        raise EnvironmentProblem(
            f"no ssh_keys in {context.file}, so no one can log in to the machines",
            hint="add your public key under ssh_keys: and reboot the machines",
        )
    with Database(context.state.database, reading=True) as database:
        keys = database.host_keys(machine.mac)
    if not keys:
        raise NodiskError(
            f"{name} has not enrolled yet, so its host key is unknown", hint="follow its progress with nodisk status"
        )
    hosts = context.state.run / "ssh" / f"{name}.known_hosts"
    files.write(hosts, known_hosts(machine, keys))
    patience = EMULATED_PATIENCE if virtual_lab.emulated(context.state) else PATIENCE
    words: list[str | Path] = ["ssh", "-l", USER, *checking(machine, hosts), "-o", f"ConnectTimeout={patience}"]
    if (own := own_key(context)) is not None:
        words += ["-i", own, "-o", "IdentitiesOnly=yes"]
    return [*words, str(machine.address), *command]


def checking(machine: Machine, hosts: Path) -> list[str]:
    """ssh's options that make it believe this known_hosts file alone, and the machine's name in it.

    ssh takes a space for the end of a file's name and ``%`` for one of its tokens (ssh_config(5)).
    """
    path = str(hosts).replace("%", "%%")
    settings = (
        f'UserKnownHostsFile="{path}"',
        "GlobalKnownHostsFile=/dev/null",
        "StrictHostKeyChecking=yes",
        f"HostKeyAlias={machine.name}",
    )
    return [word for setting in settings for word in ("-o", setting)]


def own_key(context: LabContext) -> Path | None:
    """The private key that a virtual lab made for itself; None: the machines know the user's own."""
    own = context.state.ssh / "id_ed25519"
    if own.exists() and own.with_suffix(".pub").read_text().strip() in context.lab.ssh_keys:
        return own
    return None
