"""The lab's records in SQLite: events, nonces, the armed window, enrolments, what each machine was last served.

Several processes use it at once (the server writes; ``nodisk status``, ``events``, ``arm`` read and write): WAL, short
transactions, and a wait of some seconds for a writer. Times are seconds since 1970. The file is 0600.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from types import MappingProxyType

from nodisk.records import (
    console_access,
    door,
    elsewhere,
    event_rows,
    inventories,
    known,
    messages,
    nonces,
    printed,
    remarks,
    served,
)
from nodisk.records import next_boots as next_boots_
from nodisk.records.connection import Connection
from nodisk.records.events import Event, Kind
from nodisk.records.sightings import Sightings
from nodisk.records.turns import Turned
from nodisk.values import Mac, Role, Stage

KEEP_EVENTS = 2_000
"""Events kept of each kind and machine. A machine causes about ten a day."""
KEEP_ALARMS = 10_000
"""The same for alarms, the lab's record of what went wrong."""
TIDY_EVERY = 1_000
"""Events between two looks for what else the records need no more; one takes some milliseconds for 1,000 machines."""
NONCES_FOR = 24 * 3600.0
"""Seconds for which a nonce that can't count any more still says why."""
MAX_DETAIL = 500
"""Characters of a detail; the rest is cut."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A machine's last enrolment."""

    time: float
    expires: float
    """When its certificates expire."""


class Database(Connection):
    """The records, by one connection."""

    # Events

    def record(
        self,
        kind: Kind,
        detail: str,
        *,
        source: str,
        mac: Mac | None = None,
        machine: str | None = None,
        boot_id: str | None = None,
        stage: Stage | None = None,
    ) -> int:
        """Add an event and return its number; older ones of its kind and machine than are kept go.

        So a flood of one kind, or of one machine (all that aren't in lab.yaml count as one), displaces no other events.
        """
        event = {
            "time": self._now(),
            "kind": str(kind),
            "mac": mac and mac.value,
            "machine": machine,
            "boot_id": boot_id,
            "stage": stage and str(stage),
            "detail": detail[:MAX_DETAIL],
            "source": source[:MAX_DETAIL],
        }
        with self._transaction():
            number = event_rows.add(self._db, event, keep=KEEP_ALARMS if kind is Kind.ALARM else KEEP_EVENTS)
            if number % TIDY_EVERY == 0:
                self.tidy()
        return number

    def amend(self, number: int, detail: str) -> None:
        """Change the detail of a recorded event."""
        self._db.execute("UPDATE event SET detail = ? WHERE id = ?", (detail[:MAX_DETAIL], number))

    def tidy(self) -> None:
        """Delete nonces that are no longer valid, and what was served to many machines and none has any more."""
        with self._transaction():
            self._db.execute("DELETE FROM nonce WHERE minted < ?", (self._now() - NONCES_FOR,))
            served.prune(self._db)

    def events(
        self,
        *,
        after: int = 0,
        since: float | None = None,
        mac: Mac | None = None,
        kinds: Iterable[Kind] = (),
        limit: int | None = None,
    ) -> list[Event]:
        """Events in order: numbers above ``after``, not before ``since``; ``limit`` keeps the newest."""
        return event_rows.find(self._db, after=after, since=since, mac=mac, kinds=kinds, limit=limit)

    def newest_stages(self) -> dict[Mac, Stage]:
        """The stage of every machine's newest report."""
        return event_rows.newest_stages(self._db)

    @property
    def sightings(self) -> Sightings:
        """Machines that asked for a boot script, with what they said of themselves."""
        return Sightings(self._db, self._now)

    @property
    def next_boots(self) -> next_boots_.NextBoots:
        """What machines start at their next boot."""
        return next_boots_.NextBoots(self._db, self._now, self._lasting)

    @property
    def inventories(self) -> inventories.Inventories:
        """Machines that are to be measured, and what they reported."""
        return inventories.Inventories(self._db, self._now, self._lasting)

    @property
    def elsewhere(self) -> elsewhere.Elsewhere:
        """Machines that were last told to start something other than the lab."""
        return elsewhere.Elsewhere(self._db, self._now)

    @property
    def remarks(self) -> remarks.Remarks:
        """What is noted of PCs: broken, or nobody's."""
        return remarks.Remarks(self._db, self._now, self._lasting)

    @property
    def printed(self) -> printed.Prints:
        """What machines printed last."""
        return printed.Prints(self._db, self._now)

    @property
    def messages(self) -> messages.Messages:
        """What classes are told."""
        return messages.Messages(self._db, self._now, self._lasting)

    @property
    def console(self) -> console_access.Access:
        """Who may use the console: invitations and sessions."""
        return console_access.Access(self._db, self._now, self._lasting)

    @property
    def door(self) -> door.Door:
        """What students sign in with: codes, passphrases, sessions."""
        return door.Door(self._db, self._now, self._lasting)

    # The armed window

    def arm(self, until: float) -> None:
        """Let machines enrol until then (``nonces.FOREVER``: until disarmed)."""
        with self._lasting():
            self._set("armed_until", repr(until))

    def disarm(self, *, window: float | None = None) -> bool:
        """Let no machine enrol; issued nonces become invalid. With ``window``, only if that is when it ends."""
        with self._lasting():
            if window is not None and self.armed_until() != window:
                return False
            self._db.execute("DELETE FROM setting WHERE name = 'armed_until'")
            self._db.execute("UPDATE nonce SET superseded = 1")
            return True

    def armed_until(self) -> float | None:
        """The end of the window, even if it is past; None: disarmed."""
        value = self._get("armed_until")
        return None if value is None else float(value)

    def armed(self) -> bool:
        """Whether a machine may enrol now."""
        until = self.armed_until()
        return until is not None and self._now() < until

    # The room

    def turned(self) -> Turned | None:
        """What was last done to the whole room; None: nothing yet."""
        value = self._get("room")
        return None if value is None else Turned.from_text(value)

    def turn(self, turned: Turned, *, instead_of: Turned | None = None) -> bool:
        """Record what is done to the room; with ``instead_of``, only if that is what was recorded last."""
        with self._lasting():
            if instead_of is not None and self.turned() != instead_of:
                return False
            self._set("room", turned.to_text())
        return True

    # Nonces

    def mint(self, mac: Mac, role: Role, address: IPv4Address) -> str | None:
        """Mint a nonce for the machine's boot; its older ones become invalid. None: the lab is not armed."""
        nonce = nonces.mint()
        with self._transaction():
            if not self.armed():
                return None
            self._db.execute("DELETE FROM nonce WHERE mac = ? AND minted < ?", (mac.value, self._now() - NONCES_FOR))
            self._db.execute("UPDATE nonce SET superseded = 1 WHERE mac = ?", (mac.value,))
            self._db.execute(
                "INSERT INTO nonce (digest, mac, role, address, minted) VALUES (?,?,?,?,?)",
                (nonces.digest(nonce), mac.value, str(role), str(address), self._now()),
            )
        return nonce

    def use(self, nonce: str, claim: nonces.Claim) -> nonces.Verdict:
        """Use up a nonce if the claim is valid. Of two requests that use it at the same time, one is refused.

        A repeat of the request that used it is valid again (``nonces.repeats``).
        """
        digest = nonces.digest(nonce)
        with self._lasting():
            row = self._db.execute(
                "SELECT mac, role, address, minted, used, superseded, request FROM nonce WHERE digest = ?", (digest,)
            ).fetchone()
            found = row and nonces.Nonce(
                Mac(row[0]), Role(row[1]), IPv4Address(row[2]), row[3], row[4], superseded=bool(row[5]), request=row[6]
            )
            now = self._now()
            refusal = nonces.refusal(found, claim, now=now, armed_until=self.armed_until())
            if refusal is None:
                change = "UPDATE nonce SET used = coalesce(used, ?), request = ? WHERE digest = ?"
                self._db.execute(change, (now, claim.request, digest))
        return nonces.Verdict(refusal, again=found is not None and nonces.repeats(found, claim))

    # What is known of each machine

    def enrolled(self, mac: Mac, expires: float, host_keys: Iterable[str]) -> None:
        """Record a machine's enrolment: when its certificates expire, and sshd's public keys of this boot."""
        keys = json.dumps(list(host_keys))
        with self._lasting():
            self._db.execute("REPLACE INTO enrolment VALUES (?,?,?,?)", (mac.value, self._now(), expires, keys))

    def enrolment(self, mac: Mac) -> Enrolment | None:
        """The last enrolment."""
        row = self._db.execute("SELECT time, expires FROM enrolment WHERE mac = ?", (mac.value,)).fetchone()
        return row and Enrolment(*row)

    def host_keys(self, mac: Mac) -> tuple[str, ...]:
        """sshd's public keys of the machine's last enrolled boot, as ``TYPE BASE64``."""
        row = self._db.execute("SELECT host_keys FROM enrolment WHERE mac = ?", (mac.value,)).fetchone()
        return tuple(json.loads(row[0])) if row else ()

    def serve(
        self, mac: Mac, texts: Mapping[str, str | bytes], *, alike: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Record texts (``script``, ``ignition``, a daemon's file) as the machine got them, without its nonce.

        Bytes are a text as ``served.pack`` made them. ``alike``: those that are the same for many machines, and grow
        with their number; each is kept once.
        """
        with self._transaction():
            served.put(self._db, mac, texts, alike, now=self._now())

    def served(self, mac: Mac) -> dict[str, str]:
        """What the machine last got, for ``nodisk render --diff``."""
        return served.of(self._db, mac)

    def set_ram(self, mac: Mac, mib: dict[str, int]) -> None:
        """Record the machine's latest report of its RAM."""
        self._db.execute("REPLACE INTO ram VALUES (?,?,?)", (mac.value, self._now(), json.dumps(mib)))

    def ram(self, mac: Mac) -> dict[str, int] | None:
        """MiB by kind, as the machine last reported."""
        row = self._db.execute("SELECT mib FROM ram WHERE mac = ?", (mac.value,)).fetchone()
        return json.loads(row[0]) if row else None

    def set_nic(self, mac: Mac, nic: str) -> None:
        """Remember which NIC the machine booted from, by its bus and ids."""
        self._db.execute("REPLACE INTO setting VALUES (?,?)", (f"{known.NIC}{mac}", nic))

    def nics(self) -> dict[Mac, str]:
        """Machine → the NIC that it last booted from, as ``assets.nic_drivers`` names it; of those that iPXE told."""
        rows = self._db.execute("SELECT name, value FROM setting WHERE name LIKE ?", (f"{known.NIC}%",)).fetchall()
        return {Mac.parse(name.removeprefix(known.NIC)): nic for name, nic in rows}

    def add_traffic(self, mac: Mac, what: str, count: int) -> None:
        """Count bytes that the machine loaded in this boot."""
        self._db.execute(
            "INSERT INTO traffic VALUES (?,?,?) ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes",
            (mac.value, what, count),
        )

    def reset_traffic(self, mac: Mac) -> None:
        """A new boot begins: count from zero."""
        self._db.execute("DELETE FROM traffic WHERE mac = ?", (mac.value,))

    def traffic(self, mac: Mac) -> dict[str, int]:
        """Bytes that the machine loaded in this boot, by file name or ``registry``."""
        return dict(self._db.execute("SELECT what, bytes FROM traffic WHERE mac = ?", (mac.value,)).fetchall())

    def forget(self, mac: Mac) -> None:
        """Forget all of a machine but its events."""
        with self._transaction():
            known.forget(self._db, mac)

    def hand_over(self, old: Mac, new: Mac) -> None:
        """Another PC takes a machine's place: what was wished for it is wished for the new one."""
        with self._transaction():
            known.hand_over(self._db, old, new)
