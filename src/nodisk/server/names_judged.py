"""What the names' gate makes of a question and of unbound's answer: bytes in, bytes out, by the views as they are now.

The views are read again whenever the file is another one, which is asked before each judgement: one ``stat``.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
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

    def question(self, query: bytes, source: str) -> tuple[Verdict, Question]:
        """What becomes of a query; raises Malformed."""
        asked = dns_message.question(query)
        return self.judge.question(self.file.current(), source, asked.name), asked

    def answer(self, query: bytes, reply: bytes, source: str, asked: Question) -> bytes | None:
        """What ``source`` gets of unbound's reply to its query; None: it is no reply to that."""
        try:
            found = dns_message.answer(reply)
        except Malformed:
            return dns_message.refusal(query, SERVFAIL)
        if (found.question.name, found.question.kind) != (asked.name, asked.kind):
            return None
        failed = found.code not in (0, NXDOMAIN)
        views = self.file.current()
        if failed or self.judge.answer(views, source, asked.name, found.names, empty=not found.records):
            return reply
        return self.hidden(query, asked)

    def hidden(self, query: bytes, asked: Question) -> bytes:
        """There is no such name: the same for one that is somebody else's and for one that is nobody's."""
        domain = self.judge.domain
        zone = self.judge.zone_of(asked.name) or domain
        authority = Authority(zone, (b"ns", b"dns", *domain), (b"hostmaster", *domain), self.ttl)
        return dns_message.refusal(query, NXDOMAIN, authority)
