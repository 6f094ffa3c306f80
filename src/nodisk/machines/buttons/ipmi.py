"""A BMC by IPMI 2.0 over LAN, through ipmitool: a process of its own, which ends when its time is over.

The password is in ipmitool's environment, which only this user reads, never in its arguments.
"""

from __future__ import annotations

import re
from subprocess import CompletedProcess

from nodisk import run
from nodisk.errors import TimedOut
from nodisk.machines.buttons.button import PowerTrouble, Seen, State, no_answer, stop_if_interrupted
from nodisk.spec.model_power import PowerSettings
from nodisk.waiting import Deadline

_PASSWORD = "IPMI_PASSWORD"  # noqa: S105 - the variable's name
SUITES = (17, 3)
"""Cipher suites: by SHA-256, where the BMC has it, else the one that IPMI 2.0 asks of all. Asking a BMC which it has,
as ipmitool would, costs ten seconds with one that doesn't answer that, and the answer is no safer."""
NO_ANSWER = "no answer"
_REASONS = (
    # What ipmitool says with -v, most telling first → ours.
    (r"rakp 2 hmac is invalid", "refuses the password"),
    (r"unauthorized name", "does not know the user"),
    (r"rakp [24].*(invalid role|privilege)|chassis power.*insufficient privilege", "does not allow that to the user"),
    (r"insufficient resources", "has no free session"),
    (r"get auth capabilities error|no response|unable to establish", NO_ANSWER),
)
_UNSUITABLE = re.compile(r"invalid (authentication|integrity|confidentiality) algorithm|no cipher suite", re.IGNORECASE)


class Ipmi:
    """One BMC."""

    def __init__(self, power: PowerSettings, password: str, *, whose: str) -> None:
        self._address, self._port, self._user = power.address, power.port, power.user or ""
        self._password, self._whose = password, whose
        self._suite = SUITES[0]

    @property
    def how(self) -> str:
        """By what means."""
        return f"ipmi {self._address}" if self._port == 623 else f"ipmi {self._address}:{self._port}"

    def look(self, within: float) -> Seen:
        """What the BMC says of the chassis."""
        return state_of(self._chassis("status", within))

    def on(self, within: float) -> None:
        """Chassis Control: power up."""
        self._chassis("on", within)

    def off(self, within: float) -> None:
        """Chassis Control: soft shutdown, by ACPI."""
        self._chassis("soft", within)

    def cut(self, within: float) -> None:
        """Chassis Control: power down."""
        self._chassis("off", within)

    def _chassis(self, what: str, within: float) -> str:
        """Run one command; a BMC that doesn't answer is asked again until the time is over."""
        deadline = Deadline(within)
        while left := deadline.left:
            done = self._run(what, left)
            if done.returncode == 0:
                return done.stdout
            said = done.stderr or done.stdout
            if _UNSUITABLE.search(said) and self._suite != SUITES[-1]:
                self._suite = SUITES[SUITES.index(self._suite) + 1]
            elif reason_of(said) != NO_ANSWER:
                raise self._trouble(said)
        raise PowerTrouble(no_answer(within))

    def _run(self, what: str, within: float) -> CompletedProcess[str]:
        words = ["ipmitool", "-v", "-I", "lanplus", "-E", "-C", str(self._suite), "-L", "OPERATOR"]
        words += ["-H", str(self._address), "-p", str(self._port), "-U", self._user]
        try:
            env = {_PASSWORD: self._password}
            done = run.run([*words, "chassis", "power", what], env=env, timeout=within, check=False)
        except TimedOut as error:
            raise PowerTrouble(no_answer(within)) from error
        stop_if_interrupted()
        return done

    def _trouble(self, said: str) -> PowerTrouble:
        reason = reason_of(said)
        login = "password" in reason or "user" in reason
        return PowerTrouble(
            f"{reason} ({self._user})" if login else reason, hint=f"nodisk power login {self._whose}" if login else None
        )


def state_of(said: str) -> Seen:
    """The state in ``Chassis Power is on``."""
    word = said.strip().rpartition(" ")[2].lower()
    state = {"on": State.ON, "off": State.OFF}.get(word, State.UNKNOWN)
    return Seen(state, f"the BMC says {word[:20] or 'nothing'}")


def reason_of(said: str) -> str:
    """Why ipmitool gave up, in a line, from what it complained."""
    for theirs, ours in _REASONS:
        if re.search(theirs, said, re.IGNORECASE):
            return ours
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = "".join(letter for letter in lines[-1] if letter.isprintable())[:160] if lines else "it says nothing"
    return f"ipmitool failed: {last}"
