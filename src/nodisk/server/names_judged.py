"""What the names' gate makes of a question and of unbound's answer: bytes in, bytes out, by the views as they are now.

The views are read again whenever the file is another one, which is asked before each judgement: one ``stat``.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

from nodisk.plan.name_views import Judge, Verdict, Views, parse
from nodisk.server import dns_message
from nodisk.server.dns_message import NXDOMAIN, SERVFAIL, Authority, Malformed, Question

log = logging.getLogger("nodisk.server")


@dataclass(slots=True)
class ViewsFile:
    """The views as the file has them now; while it isn't there or can't be read, all namespaces are closed."""

    path: Path
    _views: Views = field(default_factory=Views)
    _seen: tuple[int, int, int] | None = None
    _problem: str = ""

    def current(self) -> Views:
        """Read again if it has changed."""
        try:
            found = self.path.stat()
            seen = (found.st_ino, found.st_mtime_ns, found.st_size)
            if seen != self._seen:
                self._views = parse(self.path.read_text())
                self._seen = seen  # if it is replaced between the two, the next look sees another file
                self._problem = ""
        except (OSError, ValueError) as error:
            if str(error) != self._problem:
                log.warning("the views can't be read, so no pod sees any namespace's names: %s", error)
            self._views, self._seen, self._problem = Views(), None, str(error)
        return self._views


@dataclass(slots=True)
class Judged:
    """The judgement of packets: no sockets."""

    judge: Judge
    file: ViewsFile
    ttl: int

    def views(self) -> Views:
        """As they are now: the same object until they change."""
        return self.file.current()

    def payer(self, source: str) -> tuple[str, bool]:
        """On whose account a question is: a namespace, or an address that is no known pod's; whether it is a class's.

        By namespace, for a student may have many pods. Of a pod that is not known the worst is assumed.
        """
        views = self.file.current()
        space = views.namespace(source)
        if space is None:
            return source, IPv4Address(source) in self.judge.pods
        return space, space not in views.common

    def question(self, source: str, asked: Question) -> Verdict:
        """What becomes of a question."""
        return self.judge.question(self.file.current(), source, asked.name)

    def answer(self, query: bytes, reply: bytes, source: str, asked: Question, *, tcp: bool = False) -> bytes | None:
        """What ``source`` gets of unbound's reply to its query; None: it is no reply to that.

        Of a reply that is cut off nothing is told but that: its code and its records may be of names that had no room.
        """
        try:
            found = dns_message.answer(reply)
        except Malformed:
            return dns_message.refusal(query, SERVFAIL)
        if (found.question.name, found.question.kind) != (asked.name, asked.kind):
            return None
        if found.code not in (0, NXDOMAIN):
            return reply
        views = self.file.current()
        if not self.judge.answer(views, source, asked.name, found.names, empty=not found.records):
            return self.hidden(query, asked)
        if found.cut and not self.judge.sees_all(views, source):
            return dns_message.refusal(query, SERVFAIL) if tcp else dns_message.refusal(query, 0, cut=True)
        return reply

    def hidden(self, query: bytes, asked: Question) -> bytes:
        """There is no such name: the same for one that is somebody else's and for one that is nobody's."""
        domain = self.judge.domain
        zone = self.judge.zone_of(asked.name) or domain
        authority = Authority(zone, (b"ns", b"dns", *domain), (b"hostmaster", *domain), self.ttl)
        return dns_message.refusal(query, NXDOMAIN, authority)
