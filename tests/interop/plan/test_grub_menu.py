"""GRUB's boot menu, read by GRUB's own parser and shown by GRUB itself as a program (``grub-emu``) on a terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.interop.plan.test_grub import check, real, together

from nodisk.plan import grub_menu
from nodisk.spec import menu
from nodisk.spec.model import Lab
from nodisk.waiting import Deadline

pytestmark = pytest.mark.interop

PATIENCE = 60.0
"""Seconds for one text to come; on an idle host it takes a tenth of one."""


def lab_of(title: str = "Debian's installer", arguments: str = "a=b --- c", **settings: object) -> Lab:
    entry = {"name": "debian", "title": title, "kernel": "http://10.77.0.9/linux", "arguments": arguments}
    one = {"name": "cp1", "mac": "52:54:00:77:00:0b", "address": "10.77.0.11", "role": "control-plane"}
    network = {"subnet": "10.77.0.0/24", "server": "10.77.0.1"}
    made = {"entries": [entry], **settings}
    return Lab.model_validate({"name": "room", "network": network, "menu": made, "machines": [one]})


@real
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60), st.text(st.characters(codec="ascii")))
def test_grub_reads_every_menu_that_is_taken(tmp_path: Path, title: str, arguments: str) -> None:
    lab = lab_of(title or "x", arguments)
    wrong = {wrong.path[-1] for wrong in menu.problems(lab)}
    if wrong:
        lab = lab_of("x" if "title" in wrong else title, "x" if "arguments" in wrong else arguments)
    for script in (
        grub_menu.menu_script(lab, lab.machines[0]),
        grub_menu.entry_script(lab, lab.machines[0], "debian"),
        grub_menu.entry_script(lab, lab.machines[0], "disk"),
    ):
        done = check(script, tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_menu_that_breaks_off_is_nothing_to_grub(tmp_path: Path) -> None:
    lab = lab_of()
    script = grub_menu.menu_script(lab, lab.machines[0])
    whole = script.removesuffix("nodisk_menu\n")
    for cut in range(whole.index("{") + 1, whole.rindex("}"), 61):
        assert check(whole[:cut], tmp_path).returncode != 0, whole[:cut]


@dataclass
class Screen:
    """GRUB on a terminal."""

    terminal: int
    said: str = ""

    def read(self, wanted: str) -> None:
        """Wait until GRUB says this, after what was waited for before."""
        deadline = Deadline(PATIENCE)
        while (place := together(self.said).find(together(wanted))) < 0:
            ready, _, _ = select.select([self.terminal], [], [], deadline.left)
            assert ready, f"no {wanted!r} in {self.said!r}"
            try:
                part = os.read(self.terminal, 65536)
            except OSError:
                part = b""
            assert part, f"GRUB ended without {wanted!r}: {self.said!r}"
            self.said += re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[=>])", "", part.decode(errors="replace"))
        self.said = together(self.said)[place + len(together(wanted)) :]

    def press(self, keys: str) -> None:
        os.write(self.terminal, keys.encode())


@contextlib.contextmanager
def shown(script: str, folder: Path) -> Iterator[Screen]:
    """GRUB with this script as its configuration; ``sleep`` and what needs firmware or a network say so instead."""
    for pattern, instead in (
        (r"source '\(http,[^']*'", "echo THE-LAB; exit"),
        (r"configfile '\(http,[^']*'", "echo MENU-AGAIN; exit"),
        (r"if linux ", "if echo LINUX "),
        (r"search --no-floppy", "false"),
        (r"sleep --interruptible 5", "true"),
    ):
        script = re.sub(pattern, instead, script)
    (folder / "grub.cfg").write_text(script)
    pid, terminal = pty.fork()
    if pid == 0:
        words = ["grub-emu", "--directory", str(folder), "--root=host"]
        os.execvpe(words[0], words, {**os.environ, "TERM": "vt100"})  # noqa: S606 - there is no shell to start it with
    try:
        yield Screen(terminal)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.close(terminal)
        os.waitpid(pid, 0)


def test_the_default_starts_after_the_time_out(tmp_path: Path) -> None:
    lab = lab_of(timeout=1)
    with shown(grub_menu.menu_script(lab, lab.machines[0]), tmp_path) as screen:
        screen.read("Kubernetes: a node of room")
        screen.read("THE-LAB")


def test_a_disk_without_a_system_is_said_and_the_menu_comes(tmp_path: Path) -> None:
    lab = lab_of(timeout=1, default="disk")
    with shown(grub_menu.menu_script(lab, lab.machines[0]), tmp_path) as screen:
        screen.read("no disk of this machine has a system for UEFI")
        screen.read("MENU-AGAIN")


def test_a_key_chooses_and_the_command_line_is_shut(tmp_path: Path) -> None:
    """Neither ``c`` nor ``e`` leads anywhere without a superuser's password, and there is none."""
    lab = lab_of(timeout=600)
    with shown(grub_menu.menu_script(lab, lab.machines[0]), tmp_path) as screen:
        screen.read("Power off")
        for key in "ce":
            screen.press(key)
            screen.read("Enter username:")
            screen.press("nodisk\r")
            screen.read("Enter password:")
            screen.press("nodisk\r")
            screen.read("Power off")
        screen.press("\x0e\x0e\r")  # Ctrl-N, GRUB's key for the next entry, twice: Debian's installer
        screen.read("Debian's installer")
        screen.read("LINUX (http,10.77.0.9)/linux a=b --- c")
        screen.read("MENU-AGAIN")


def test_an_entry_starts_by_itself(tmp_path: Path) -> None:
    lab = lab_of()
    with shown(grub_menu.entry_script(lab, lab.machines[0], "debian"), tmp_path) as screen:
        screen.read("LINUX (http,10.77.0.9)/linux a=b --- c")
        screen.read("MENU-AGAIN")
