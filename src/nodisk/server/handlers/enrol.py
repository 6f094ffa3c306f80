"""``POST /enrol``: a booted machine's nonce and CSRs in, its certificates out, in a tar that never touches a disk."""

from __future__ import annotations

import io
import re
import tarfile
import time
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from nodisk.pki.profiles import MACHINE_LIFETIME, PROFILES, Profile, Refused
from nodisk.plan.daemons_nginx import MAX_ENROL
from nodisk.records.events import Kind
from nodisk.records.nonces import Claim, request_digest
from nodisk.server.handlers.common import AppState, address_of, app_state_of, body_of, mac_of, source_of
from nodisk.spec.model import Machine
from nodisk.values import Mac

MAX_HOST_KEYS = 8
_HOST_KEY = re.compile(r"(ssh-(?:ed25519|rsa)|ecdsa-sha2-nistp(?:256|384|521)) ([A-Za-z0-9+/]{40,1000}={0,2})")


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A parsed request body."""

    host_keys: tuple[str, ...]
    requests: tuple[tuple[Profile, str], ...]
    """Each profile once, with its CSR as PEM."""


def parse(body: bytes) -> Enrolment:
    """Parse a body (architecture.md): ``ssh-host-key:`` lines, ``profile:`` lines and their CSRs; raises Refused."""
    try:
        text = body.decode("ascii")
    except UnicodeDecodeError as error:
        raise Refused("the request is not plain ASCII text") from error
    head, *parts = re.split(r"^profile: ", text, flags=re.MULTILINE)
    host_keys = []
    for line in head.splitlines():
        key = line.removeprefix("ssh-host-key: ").strip()
        if not line.startswith("ssh-host-key: ") or not _HOST_KEY.fullmatch(key):
            raise Refused("a line before the first profile is not an SSH host key")
        host_keys.append(key)
    requests: dict[str, tuple[Profile, str]] = {}
    for part in parts:
        name, _, pem = part.partition("\n")
        name = name.strip()
        if name not in PROFILES:
            raise Refused("a profile is not known here")
        if name in requests:
            raise Refused(f"{name} is there twice")
        requests[name] = (PROFILES[name], pem)
    if len(host_keys) > MAX_HOST_KEYS:
        raise Refused("too many SSH host keys")
    return Enrolment(tuple(host_keys), tuple(requests.values()))


async def enrol(request: Request) -> Response:
    """Sign what this machine's role may have; 403 and an alarm for anything that an honest machine doesn't send.

    410 and an alarm where a new boot is likely to help, a few times in a row.

    The nonce is used up before the CSRs are checked: it is a ticket for one request. If the answer was lost, the same
    request may be repeated, and is signed again: answers are not stored, so none can be read later.
    """
    app_state, address = app_state_of(request), address_of(request)
    body = await body_of(request, MAX_ENROL)
    mac = mac_of(request.headers.get("nodisk-mac", ""))
    machine = app_state.machine(mac)
    if machine is None:
        return _refuse(app_state, request, mac, "mac", "lab.yaml has no machine of this MAC")
    claim = Claim(mac, machine.role, address, request_digest(body))
    verdict = app_state.database.use(request.headers.get("nodisk-nonce", "")[:200], claim)
    if refusal := verdict.refusal:
        _alarm(app_state, request, mac, refusal.why, refusal.text)
        status = 410 if refusal.passes and app_state.passing.again(mac) else 403
        return PlainTextResponse(f"{refusal.text}\n", status)
    try:
        enrolment = parse(body)
        if app_state.texts.lab.has_cluster != bool(enrolment.requests):
            raise Refused("this lab has no cluster to sign for" if enrolment.requests else "no profile at all")
        answer = await run_in_threadpool(_answer, app_state, machine, enrolment)
    except Refused as error:
        return _refuse(app_state, request, mac, "request", error.message)
    app_state.passing.forget(mac)
    app_state.database.enrolled(mac, time.time() + MACHINE_LIFETIME.total_seconds(), enrolment.host_keys)
    names = ", ".join(profile.name for profile, _ in enrolment.requests)
    what = (f"signed {names}" if names else "took its SSH host keys") + (
        " again: the answer before was lost" if verdict.again else ""
    )
    app_state.database.record(Kind.NODE, what, source=source_of(request), mac=mac, machine=str(machine.name))
    return Response(answer, media_type="application/x-tar")


def _answer(app_state: AppState, machine: Machine, enrolment: Enrolment) -> bytes:
    # A plain machine gets nothing: what a cluster's certificates go with is no use to it.
    files = app_state.authority.companions(machine.role) if enrolment.requests else {}
    for profile, csr in enrolment.requests:
        files[f"{profile.name}.crt"] = app_state.authority.sign(machine, profile, csr)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(content), 0o600, int(time.time())
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def _refuse(app_state: AppState, request: Request, mac: Mac, sort: str, reason: str) -> Response:
    _alarm(app_state, request, mac, sort, reason)
    return PlainTextResponse(f"{reason}\n", 403)


def _alarm(app_state: AppState, request: Request, mac: Mac, sort: str, reason: str) -> None:
    app_state.alarm(f"enrol {sort}", f"enrolment refused: {reason}", request=request, mac=mac)
