"""Requests to a BMC or a plug over HTTP: bounded in time and size, TLS checked, failures in one line.

TLS is believed in one of three ways: the very certificate that lab.yaml names (most BMCs sign their own, with a name
that is nobody's), an authority that lab.yaml names, or this host's trust store. The account goes out only after that.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import httpx2

from nodisk.errors import EnvironmentProblem
from nodisk.machines.buttons.button import PowerTrouble, bounded, no_answer
from nodisk.spec.model_power import PowerSettings
from nodisk.waiting import Deadline

LIMIT = 1 << 20
"""Bytes of an answer that are read; a Redfish system is some ten thousand."""


class _Pinned(ssl.SSLSocket):
    """A connection that ends where the other side shows another certificate than the one that is known."""

    def do_handshake(self, block: bool = False) -> None:
        """Shake hands, then compare, before anything is sent."""
        super().do_handshake(block)
        known: frozenset[bytes] = getattr(self.context, "known", frozenset())
        if self.getpeercert(binary_form=True) not in known:
            raise ssl.SSLCertVerificationError("it shows another certificate than the one in lab.yaml")


class _PinningContext(ssl.SSLContext):
    known: frozenset[bytes] = frozenset()


def tls(power: PowerSettings) -> ssl.SSLContext:
    """How the other side's certificate is checked; raises EnvironmentProblem for a file that isn't one."""
    if power.certificate is not None:
        context = _PinningContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # the certificate itself is known, whatever name is in it
        context.verify_mode = ssl.CERT_NONE
        context.sslsocket_class = _Pinned
        context.known = frozenset([_der(power.certificate)])
        return context
    try:
        return ssl.create_default_context(cafile=power.ca)
    except (OSError, ssl.SSLError) as error:
        raise EnvironmentProblem(f"{power.ca} is not a PEM file with a certificate: {error}") from error


def _der(file: Path) -> bytes:
    try:
        return ssl.PEM_cert_to_DER_cert(file.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise EnvironmentProblem(
            f"{file} is not a PEM file with one certificate: {error}",
            hint="openssl s_client -connect ADDRESS:443 </dev/null | openssl x509 shows the one that is in use: "
            "compare it with the BMC's own page before you trust it",
        ) from error


class Web:
    """One other side, as one account."""

    def __init__(self, power: PowerSettings, auth: httpx2.Auth | None, *, whose: str) -> None:
        """``whose`` names the machine, for what is said of a password."""
        self._power, self._auth, self._whose = power, auth, whose

    def get(self, url: str, within: float) -> bytes:
        """What a GET answers."""
        return self.request("GET", url, within)

    def get_json(self, url: str, within: float) -> dict[str, Any]:
        """The JSON object that a GET answers."""
        return as_object(self.get(url, within))

    def request(
        self,
        method: Literal["GET", "POST"],
        url: str,
        within: float,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """The body of a good answer (2xx); redirections are not followed. Raises PowerTrouble."""
        verify = tls(self._power)

        def ask() -> bytes:
            deadline = Deadline(within)
            timeout = httpx2.Timeout(within)
            # trust_env=False: no proxy of the user's shell, and no account from a .netrc.
            with (
                httpx2.Client(verify=verify, auth=self._auth, timeout=timeout, trust_env=False) as client,
                client.stream(method, url, content=content, headers=dict(headers or {})) as answer,
            ):
                self._check(answer.status_code)
                body = bytearray()
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > LIMIT:
                        raise PowerTrouble(f"answers with more than {LIMIT >> 20} MiB")
                    if deadline.passed:
                        raise PowerTrouble(no_answer(within))
                return bytes(body)

        try:
            return bounded(ask, within)
        except httpx2.TimeoutException as error:
            raise PowerTrouble(no_answer(within)) from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise PowerTrouble(_words(error)) from error

    def _check(self, status: int) -> None:
        if status in (401, 403):
            who = f"the password of {self._power.user}" if self._power.user else "requests without an account"
            raise PowerTrouble(f"refuses {who}", hint=f"nodisk power login {self._whose}")
        if not 200 <= status < 300:
            raise PowerTrouble(f"answers with HTTP status {status}")


def as_object(body: bytes) -> dict[str, Any]:
    """The JSON object of a body; raises PowerTrouble."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise PowerTrouble("answers with something that is not JSON") from error
    if not isinstance(found, dict):
        raise PowerTrouble("answers with JSON that is not an object")
    return found


def _words(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"its certificate is not trusted: {cause.verify_message if hasattr(cause, 'verify_message') else cause}"
            )
        if isinstance(cause, ConnectionRefusedError):
            return "refuses the connection"
        cause = cause.__cause__ or cause.__context__
    return f"can't be asked: {error or type(error).__name__}"
