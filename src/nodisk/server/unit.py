"""The lab's server as a systemd unit: its text (pure), and installing it.

Sources: systemd.unit(5), systemd.service(5), systemd.exec(5) and, for quoting, systemd.syntax(7).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nodisk import files, run
from nodisk.errors import EnvironmentProblem

NAME = "nodisk.service"
_RUNS = Path("run/systemd/system")
"""Exists only if systemd is the init system: sd_booted(3)."""

_TEXT = """\
# Written by `nodisk service install`, which also replaces it. Settings of your own: systemctl edit nodisk
[Unit]
Description=nodisk: server of a diskless Kubernetes room
Wants=network-online.target
After=network-online.target

[Service]
# READY=1 comes when every daemon answers on the lab's address.
Type=notify
NotifyAccess=main
ExecStart={start}
ExecReload=/bin/kill -HUP $MAINPID
# The server stops its daemons in order; what is left after that is killed.
KillMode=mixed
TimeoutStartSec=120
TimeoutStopSec=120
Restart=on-failure
RestartSec=3
LimitNOFILE=65536
# etcd and the API's entry point must outlive whatever else runs short of memory on this host.
OOMScoreAdjust=-500

[Install]
WantedBy=multi-user.target
"""


def render(program: Sequence[str], lab: Path, state: Path) -> str:
    """The unit that runs ``program serve`` for this lab file and state directory (both absolute)."""
    words = [*program[1:], "serve", "--lab", str(lab), "--state", str(state)]
    # Environment variables are substituted in the arguments, not in the program's path.
    return _TEXT.format(start=" ".join([quote(program[0]), *(quote(word).replace("$", "$$") for word in words)]))


def quote(word: str) -> str:
    """A word of ``ExecStart=``: systemd.syntax(7), "Quoting", and the specifiers of systemd.unit(5).

    Raises ValueError for a line break, which no path in a unit may contain.
    """
    if "\n" in word or "\r" in word:
        raise ValueError(word)
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


@dataclass(frozen=True, slots=True)
class Service:
    """The unit's place below ``root``; another root than ``/`` is only written to, nothing is started."""

    root: Path = Path("/")

    @property
    def path(self) -> Path:
        """The unit's path."""
        return self.root / "etc/systemd/system" / NAME

    def commands(self, *, start: bool) -> list[list[str]]:
        """Commands that make systemd use the unit, as argument lists that can be pasted into a terminal."""
        if not start:
            return [["systemctl", f"--root={self.root}", "enable", NAME]]
        return [["systemctl", "daemon-reload"], ["systemctl", "enable", NAME], ["systemctl", "restart", NAME]]

    def install(self, text: str, *, start: bool) -> bool:
        """Write and enable the unit, and (re)start it if ``start``; returns whether the file changed.

        Raises EnvironmentProblem if ``start`` is requested and systemd isn't the init system here.
        """
        if start:
            self._require_systemd()
        changed = files.write(self.path, text)
        for argv in self.commands(start=start):
            run.run(argv)
        return changed

    def remove(self) -> bool:
        """Stop, disable and delete the unit; returns whether there was one. The lab's state stays."""
        if not self.path.exists():
            return False
        if self.booted:
            run.run(["systemctl", "disable", "--now", NAME])
        else:
            run.run(["systemctl", f"--root={self.root}", "disable", NAME])
        self.path.unlink()
        if self.booted:
            run.run(["systemctl", "daemon-reload"])
        return True

    @property
    def booted(self) -> bool:
        """Whether systemd is the init system."""
        return self.root == Path("/") and (self.root / _RUNS).is_dir()

    def _require_systemd(self) -> None:
        if not self.booted:
            raise EnvironmentProblem(
                "this host's init system is not systemd, so the service can't be started",
                hint="nodisk service install --no-start writes and enables the unit; nodisk serve runs without it",
            )
