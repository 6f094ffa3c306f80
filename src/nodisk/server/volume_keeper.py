"""Students' storage while the server runs: volume records → mounted images and an NFS server that exports them.

nfs-ganesha runs only while there is something to export. If the exports change, it is stopped, the mounts are changed,
and it is started again, because it reads the host's mounts only when it starts; its clients wait that long and
continue. Who its clients are it reads again on SIGHUP (ganesha-config(8)), which interrupts nobody. Errors here are
reported and recorded, and affect nothing else of the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from nodisk import files, ports, run
from nodisk.errors import NodiskError
from nodisk.plan import daemons_ganesha
from nodisk.plan.daemons_ganesha import Export
from nodisk.server import probes
from nodisk.server.host import Port, check_free
from nodisk.server.supervisor import Daemon, Supervisor
from nodisk.spec.model import Lab
from nodisk.state import LabState
from nodisk.storage import bell, steps, volumes
from nodisk.storage.disks import Disks
from nodisk.storage.steps import Arrange, Mend, Seen, Wait
from nodisk.storage.volumes import Report, Volume

NAME = "nfs-ganesha"
SPOKEN = 0.5
"""Seconds for which to read the NFS server's messages from before it answered."""
_COMPLAINT = re.compile(r" :(?:CONFIG|EXPORT|FSAL) :(?:CRIT|MAJ|FATAL) :(.*)")
TOOLS = ("ganesha.nfsd", "mkfs.ext4", "e2fsck", "resize2fs", "mount", "umount")


class Keeper:
    """Reconciles the exports with the records."""

    def __init__(self, lab: Lab, state: LabState, supervisor: Supervisor, say: Callable[[str], None]) -> None:
        self.lab = lab
        self.state = state
        self.say = say
        self._supervisor = supervisor
        self._disks = Disks(state)
        self._served: tuple[Volume, ...] = ()
        self._problems: dict[str, str] = {}
        self._refused: list[str] = []
        self._woken = asyncio.Event()
        self._clients = ""
        """Who the NFS server was told that its clients are."""
        (state.run / volumes.STATUS).unlink(missing_ok=True)  # of a server that was killed

    def take(self, lab: Lab) -> None:
        """From now on, the machines of this lab may ask; its server's address is the same."""
        self.lab = lab
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled: put changed records into effect on notification, and retry what failed."""
        now = time.monotonic()
        seen = Seen(now, volumes.stamp(self.state), since=now)
        with bell.heard(self.state, self._woken.set):
            while True:
                self._woken.clear()  # before the look: what changes from here on rings again
                if self._served and self._clients != daemons_ganesha.clients(self.lab):
                    await self._tell_clients()
                seen = self._look(seen)
                match steps.next_step(seen):
                    case Wait(seconds):
                        with contextlib.suppress(TimeoutError):
                            async with asyncio.timeout(seconds):  # wait_for may lose a cancellation (Python 3.11)
                                await self._woken.wait()
                        continue
                    case Mend():
                        if await self._helps():
                            await self._step()
                            seen = replace(seen, arranged=seen.stamp)
                    case Arrange(afresh):
                        if afresh:
                            self._served = ()
                        await self._step()
                        seen = replace(seen, arranged=seen.stamp)
                seen = replace(seen, again=time.monotonic() + steps.RETRY)

    def _look(self, seen: Seen) -> Seen:
        now, stamp = time.monotonic(), volumes.stamp(self.state)
        return replace(
            seen,
            now=now,
            stamp=stamp,
            before=seen.stamp,
            since=seen.since if stamp == seen.stamp else now,
            failing=bool(self._problems),
            refused=bool(self._refused and self._served),
        )

    async def close(self) -> None:
        """Unmount all; the NFS server has been stopped."""
        (self.state.run / volumes.STATUS).unlink(missing_ok=True)
        for name, problem in (await asyncio.to_thread(self._disks.close)).items():
            self.say(f"students' storage: {name}: {problem}")

    async def _helps(self) -> bool:
        """Whether a full restart may fix what failed. It interrupts the others, so those are retried alone first."""
        if "" in self._problems:
            return True
        try:
            wanted, _ = steps.sort(volumes.load_all(self.state))
        except NodiskError:
            return True  # which says so
        return await asyncio.to_thread(self._disks.mend, list(self._problems), wanted)

    async def _step(self) -> None:
        problems: dict[str, str] = {}
        try:
            problems = await self._arrange()
        except NodiskError as error:
            problems = {"": error.message}
        except OSError as error:
            problems = {"": str(error)}
        served = {} if "" in problems else {volume.name: volume.size for volume in self._served}
        volumes.write_report(self.state, Report(served, problems))
        for name, problem in problems.items():
            if problem != self._problems.get(name):
                self.say(f"students' storage: {name + ': ' if name else ''}{problem}")
        self._problems = dict(problems)

    async def _arrange(self) -> dict[str, str]:
        """Put the records into effect; return what failed (name → why)."""
        wanted, removed = steps.sort(volumes.load_all(self.state))
        if wanted == self._served and not removed:
            return {}
        if wanted:
            for tool in TOOLS:
                run.find(tool)
        await self._supervisor.halt(NAME)
        self._served = ()
        mounted, problems = await asyncio.to_thread(self._disks.arrange, wanted, removed)
        if mounted:
            check_free([Port(ports.NFS, False, "nfs-ganesha: students' storage", self.lab.network.server)])
            self._configure(mounted)
            self._refused.clear()
            await self._supervisor.start([self._daemon()])
            await asyncio.sleep(SPOKEN)
            await self.check_exports()
        self._served = tuple(mounted)
        if wanted or removed:
            self.say(f"students' storage: {len(mounted)} volumes are exported")
        return problems

    async def _tell_clients(self) -> None:
        """Have the NFS server read who its clients are. If it refuses (``heed``), the next step starts it anew."""
        self._configure(self._served)
        self._supervisor.tell(NAME, signal.SIGHUP)
        await asyncio.sleep(SPOKEN)

    async def check_exports(self) -> None:
        """Raise NodiskError, and stop the NFS server, if it has not taken over all exports.

        It would go on with the others; and without its root, with one that lists the secret paths to everybody.
        """
        if self._refused:
            await self._supervisor.halt(NAME)
            self._served = ()
            raise NodiskError(f"nfs-ganesha did not take its configuration: {self._refused[0]}")

    def heed(self, line: str) -> None:
        """Process a line of its log."""
        if complaint := _COMPLAINT.search(line):
            self._refused.append(complaint[1])
            self._woken.set()

    @property
    def _conf(self) -> Path:
        return self.state.conf / "ganesha.conf"

    def _configure(self, mounted: Sequence[Volume]) -> None:
        exports = [Export(volume.number, self._disks.place(volume), volume.path) for volume in mounted]
        text = daemons_ganesha.ganesha(
            self.lab, exports, root=self._disks.root, recovery=self._disks.folder / "recovery"
        )
        files.write(self._conf, text, mode=0o600)  # the paths are secrets
        self._clients = daemons_ganesha.clients(self.lab)

    def _daemon(self) -> Daemon:
        async def answers() -> bool:
            return await probes.tcp(self.lab.network.server, ports.NFS)

        pid = self.state.run / "ganesha.pid"
        argv = ("ganesha.nfsd", "-F", "-f", self._conf, "-L", "STDOUT", "-p", pid)
        return Daemon(NAME, argv, answers, leftovers=(pid,), on_line=self.heed)
