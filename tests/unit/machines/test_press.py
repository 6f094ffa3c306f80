"""Pressing many buttons: in time, in order of their start, and nothing said that was not seen."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner

from nodisk import interrupts
from nodisk.cli import nodisk
from nodisk.errors import UsageError
from nodisk.machines import passwords
from nodisk.machines.buttons.button import Answer, Outcome, PowerTrouble, Seen, State, Wish, bounded
from nodisk.machines.buttons.press import Way, press, press_all
from nodisk.spec.model import Machine
from nodisk.state import State as Root
from nodisk.values import Name

QUICK = Way(within=1.5)


@dataclass
class Fake:
    """A machine that does what its button says, from its second look on."""

    state: State = State.OFF
    obeys: bool = True
    trouble: str = ""
    how: str = "fake"
    pressed: list[tuple[str, float]] = field(default_factory=list)

    def look(self, within: float) -> Seen:
        if self.trouble:
            raise PowerTrouble(self.trouble, hint="mend it")
        return Seen(self.state, f"it says {self.state}")

    def _press(self, what: str, state: State) -> None:
        self.pressed.append((what, time.monotonic()))
        if self.obeys:
            self.state = state

    def on(self, within: float) -> None:
        self._press("on", State.ON)

    def off(self, within: float) -> None:
        self._press("off", State.OFF)

    def cut(self, within: float) -> None:
        self._press("cut", State.OFF)


def done(button: Fake) -> list[str]:
    return [what for what, _ in button.pressed]


def test_each_wish() -> None:
    button = Fake()
    assert press("w1", button, Wish.ON, QUICK) == Answer("w1", "fake", Outcome.CONFIRMED, State.ON, "it says on")
    assert press("w1", button, Wish.ON, QUICK).already
    assert press("w1", button, Wish.CYCLE, QUICK).state is State.ON
    assert press("w1", button, Wish.OFF, Way(1.5, cut=True)).state is State.OFF
    assert press("w1", button, Wish.CYCLE, QUICK).state is State.ON
    assert done(button) == ["on", "off", "on", "cut", "on"]


def test_what_is_not_seen_off_is_not_switched_on_again() -> None:
    button = Fake(State.ON, obeys=False)
    answer = press("w1", button, Wish.CYCLE, QUICK)
    assert (answer.outcome, answer.state) == (Outcome.ASKED, State.ON)
    assert done(button) == ["off"]


def test_trouble_is_unknown_with_its_reason() -> None:
    answer = press("w1", Fake(trouble="refuses the password"), Wish.ON, QUICK)
    assert (answer.outcome, answer.detail) == (Outcome.UNKNOWN, "refuses the password (mend it)")
    assert answer.to_json()["outcome"] == "unknown"


def test_status_of_one_that_nobody_sees() -> None:
    assert press("w1", Fake(State.UNKNOWN), Wish.STATUS, QUICK).outcome is Outcome.UNKNOWN


def test_staggered_and_one_in_trouble_holds_up_nobody() -> None:
    buttons = {f"w{number}": Fake() for number in range(5)}
    buttons["w2"].trouble = "does not answer"

    def of(name: str) -> Fake:
        if name == "w3":
            raise PowerTrouble("no password is kept")
        return buttons[name]

    told: list[Answer] = []
    began = time.monotonic()
    answers = press_all(list(buttons), of, Wish.ON, Way(within=30, stagger=0.3), tell=told.append)
    assert [answer.machine for answer in answers] == list(buttons)
    assert {answer.machine for answer in told} == set(buttons)
    outcomes = [answer.outcome for answer in answers]
    assert outcomes == [Outcome.CONFIRMED] * 2 + [Outcome.UNKNOWN] * 2 + [Outcome.CONFIRMED]
    starts = [buttons[name].pressed[0][1] - began for name in ("w1", "w4")]
    assert starts[0] >= 0.3
    assert starts[1] >= 4 * 0.3


def test_after_ctrl_c_none_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "came", lambda: True)
    button = Fake()
    (answer,) = press_all(["w1"], lambda _: button, Wish.ON, Way(within=30, stagger=5))
    assert done(button) in ([], ["on"])
    answers = press_all(["w1", "w2"], lambda _: button, Wish.ON, Way(within=30, stagger=100))
    assert answers[1].detail == "interrupted before an answer came"
    assert answer.machine == "w1"


def test_an_answer_that_never_ends() -> None:
    with pytest.raises(PowerTrouble, match="no answer within 0 s"):
        bounded(lambda: time.sleep(30), 0.2)
    assert bounded(lambda: 7, 30) == 7
    failing: Callable[[], int] = lambda: 1 // 0  # noqa: E731
    with pytest.raises(ZeroDivisionError):
        bounded(failing, 30)


def test_passwords(tmp_path: Path) -> None:
    state = Root(tmp_path).lab("room")
    machine = Machine.model_validate({"name": "w1", "mac": "52:54:00:00:00:02", "address": "10.77.0.12"})
    assert passwords.read(state, machine) is None
    passwords.save(state, machine, "zażółć 7")
    assert passwords.read(state, machine) == "zażółć 7"
    assert (state.power / "w1").stat().st_mode & 0o777 == 0o600
    assert state.power.stat().st_mode & 0o777 == 0o700
    for bad in ("", "a\nb", "x" * 257):
        with pytest.raises(UsageError, match="that is no password"):
            passwords.save(state, machine, bad)
    assert passwords.forget(state, machine)
    assert not passwords.forget(state, machine)


def test_a_password_follows_its_machine(tmp_path: Path) -> None:
    """Through the commands, broken off after each step, and tried again."""
    file, state = tmp_path / "lab.yaml", Root(tmp_path / "state").lab("room")
    file.write_text(
        "name: room\nnetwork: {subnet: 10.77.0.0/24, server: 10.77.0.1}\nmachines:\n"
        "  - {name: cp1, mac: 52:54:00:00:00:01, address: 10.77.0.11, role: control-plane}\n"
        "  - {name: w1, mac: 52:54:00:00:00:02, address: 10.77.0.12}\n"
    )

    def machine(name: str) -> Machine:
        return Machine.model_validate({"name": name, "mac": "52:54:00:00:00:02", "address": "10.77.0.12"})

    def nodisk_(*words: str) -> int:
        options = ["--lab", str(file), "--state", str(tmp_path / "state")]
        return CliRunner().invoke(nodisk, ["machines", *words, *options]).exit_code

    def kept() -> dict[str, str]:
        return {path.name: path.read_text() for path in state.power.iterdir()}

    passwords.save(state, machine("w1"), "ours")
    passwords.save(state, machine("cp1"), "theirs")
    assert nodisk_("rename", "w1", "cp1") != 0, "that name is taken"
    assert nodisk_("rename", "w1", "w7", "--dry-run") == 0
    assert kept() == {"w1": "ours", "cp1": "theirs"}
    # Broken off before lab.yaml was written: the copy is there, and the command comes again.
    passwords.copy(state, machine("w1"), Name("w7"))
    assert kept() == {"w1": "ours", "w7": "ours", "cp1": "theirs"}
    assert nodisk_("rename", "w1", "w7") == 0
    assert kept() == {"w7": "ours", "cp1": "theirs"}
    assert (state.power / "w7").stat().st_mode & 0o777 == 0o600
    # Broken off after it: what is left under the old name is nobody's, so the next of that name does not get it.
    passwords.save(state, machine("w1"), "left over")
    assert nodisk_("adopt", "52:54:00:00:00:09", "w1") == 0
    assert kept() == {"w7": "ours", "cp1": "theirs"}
    passwords.save(state, machine("w8"), "left over")
    assert nodisk_("rename", "w1", "w8") == 0
    assert kept() == {"w7": "ours", "cp1": "theirs"}
    assert nodisk_("forget", "w7") == 0
    assert kept() == {"cp1": "theirs"}
