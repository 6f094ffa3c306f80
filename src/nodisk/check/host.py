"""Checks of the server's host, except its network: clock, mirror, keys, and what a virtual lab needs."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx2

from nodisk import run
from nodisk.assets import faults, mirror, trust
from nodisk.check.findings import Finding, error, ok, warning
from nodisk.check.release import is_built
from nodisk.errors import NodiskError
from nodisk.machines import processes, qemu
from nodisk.machines.qemu import Accelerator
from nodisk.spec import versions
from nodisk.spec.model import Lab
from nodisk.state import State

TOO_OLD = datetime(2026, 1, 1, tzinfo=UTC)
"""No correct clock shows a time before this version of nodisk was made."""
OFF, FAR_OFF = 30, 300
"""Seconds from which certificates are affected, and machines' requests seem to come from another boot."""
_WAIT = httpx2.Timeout(8.0, connect=5.0)


def clock_and_mirror(state: State, lab: Lab) -> list[Finding]:
    """The Debian mirror answers for the suite, and the host's clock agrees with its."""
    findings, date = _mirror(state, lab)
    return [*findings, *judge_clock(datetime.now(UTC), date)]


def judge_clock(now: datetime, seen: datetime | None) -> list[Finding]:
    """Compare the host's time with a server's, if there is one, and with what is possible at all."""
    name = "clock"
    if now < TOO_OLD:
        return [error(name, f"the clock shows {now:%Y-%m-%d}: certificates made now would have wrong dates", _SET)]
    if seen is None:
        return [ok(name, f"{now:%Y-%m-%d %H:%M} UTC; plausible, but there is no reference to compare it with")]
    off = (now - seen).total_seconds()
    text = f"the clock is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the mirror's"
    if abs(off) >= FAR_OFF:
        return [error(name, text, _SET)]
    if abs(off) >= OFF:
        return [warning(name, text, _SET)]
    return [ok(name, f"{now:%Y-%m-%d %H:%M} UTC, within {max(1, abs(off)):.0f} s of the mirror's")]


_SET = "set the clock (timedatectl set-ntp true): the machines get their time from this host"


_MIRROR_HINT = "check the network and os.mirror in lab.yaml"


def _mirror(state: State, lab: Lab) -> tuple[list[Finding], datetime | None]:
    """Findings, and the mirror's time."""
    name = "mirror"
    needed = is_built(state, lab) is not None
    complain = error if needed else warning
    try:
        base = lab.os.mirror.rstrip("/") + "/" if lab.os.mirror else mirror.find(None).main
    except NodiskError as problem:
        return [complain(name, problem.message, problem.hint or "")], None
    suite = versions.suite(lab)
    url = f"{base}dists/{suite}/InRelease"
    if url.startswith("file:"):
        there = Path(url.removeprefix("file://")).exists()
        return [ok(name, base) if there else complain(name, f"{url} is not there", "correct os.mirror")], None
    then = "nodisk build needs it" if needed else "needed only for a new build"
    try:
        with httpx2.Client(timeout=_WAIT, follow_redirects=True, proxy=_proxy(url), verify=trust.context()) as client:
            begun = time.monotonic()
            answer = client.head(url)
            took = time.monotonic() - begun
    except httpx2.RequestError as problem:
        fault = faults.of_error(url, problem)
        text = f"{faults.shown(base)} does not answer ({fault.reason}); {then}"
        return [complain(name, text, fault.hint or _MIRROR_HINT)], None
    except (httpx2.InvalidURL, ValueError) as problem:
        return [complain(name, f"{faults.shown(base)} does not answer ({problem}); {then}", _MIRROR_HINT)], None
    date = _date(answer.headers.get("date"))
    if answer.status_code != httpx2.codes.OK:
        text = f"{faults.shown(url)} answers {answer.status_code}; {then}"
        return [complain(name, text, "correct os.mirror or os.suite")], date
    return [ok(name, f"{faults.shown(base)} has {suite}, answered in {took * 1000:.0f} ms")], date


def _proxy(url: str) -> str | None:
    """The proxy in apt's configuration; None if it names none, so that the environment's applies."""
    scheme = url.split(":", 1)[0]
    done = run.run(["apt-config", "shell", "PROXY", f"Acquire::{scheme}::Proxy"], check=False, timeout=10)
    found = done.stdout.strip().removeprefix("PROXY=").strip("'")
    return found if found not in ("", "DIRECT", "false") else None


def _date(text: str | None) -> datetime | None:
    try:
        seen = parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
    return seen if seen is None or seen.tzinfo else seen.replace(tzinfo=UTC)


def ssh_keys(lab: Lab, *, virtual: bool) -> list[Finding]:
    """Somebody can log in."""
    count = len(lab.ssh_keys)
    if count:
        return [ok("ssh", f"{count} key{'s' if count > 1 else ''} may log in")]
    if virtual:
        return [ok("ssh", "no key in lab.yaml; a virtual lab generates its own")]
    hint = "add the contents of your ~/.ssh/id_ed25519.pub under ssh_keys:"
    return [warning("ssh", "no key in lab.yaml: nobody can log in to a machine", hint)]


def kvm(lab: Lab) -> list[Finding]:
    """Virtual machines run fast here."""
    try:
        qemu.check_firmware(lab)
    except NodiskError as problem:
        return [error("kvm", problem.message, problem.hint or "")]
    if qemu.accelerator() is Accelerator.KVM:
        return [ok("kvm", "KVM works here")]
    text = "no KVM: machines are emulated and take minutes to boot"
    return [
        warning("kvm", text, "on a PC, enable VT-x or AMD-V in the firmware; in a cloud, use a machine with nested KVM")
    ]


def memory(lab: Lab, meminfo: str | None = None) -> list[Finding]:
    """The host has the RAM that all virtual machines may take."""
    available = processes.available_mib(meminfo)
    wanted = sum(qemu.memory_mib(machine) for machine in lab.machines)
    # QEMU itself: translated code and devices, about a tenth under TCG.
    need = wanted * 11 // 10 + 512
    said = f"{len(lab.machines)} machines take up to {wanted} MiB, {available} MiB are available"
    if available < wanted:
        return [error("memory", said, "use fewer machines or less memory in lab.yaml, or a host with more memory")]
    if available < need:
        return [warning("memory", said, "this leaves little memory for the server itself")]
    return [ok("memory", said)]
