"""Which certificate authorities a build trusts, and which proxies it uses: the same for all of its programs.

The authority for both is the system: Debian's trust store, where ``update-ca-certificates`` puts a school's own
certificate, and what ``$SSL_CERT_FILE``, ``$SSL_CERT_DIR`` and the proxies' variables add to it. Python and skopeo read
those by themselves, though not in the same way; apt reads only a file that its configuration names.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

SYSTEM = Path("/etc/ssl/certs/ca-certificates.crt")
"""A file with all of the system's authorities."""
ADD_HINT = (
    "if this network inspects TLS, add its CA certificate to the system's trust store: "
    "cp CA.crt /usr/local/share/ca-certificates/ && update-ca-certificates"
)
_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_ASK_SECONDS = 3


def context() -> ssl.SSLContext:
    """A TLS context that trusts the system's authorities and those that the environment adds."""
    made = ssl.create_default_context()
    for file in _files(os.environ):
        # A file that holds no certificate (a list of revocations, a README) adds nothing, here as in Go and OpenSSL.
        with contextlib.suppress(ssl.SSLError, OSError):
            made.load_verify_locations(cafile=file)
    return made


def environment(own: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables with which a build program reaches servers as this one does: proxies and trust, nothing else."""
    return {key: value for key, value in own.items() if key in _VARIABLES or key.lower().endswith("_proxy")}


def apt_options(folder: Path, own: Mapping[str, str] = os.environ) -> list[str]:
    """Lines of apt's configuration that make it trust what the environment adds; none if that adds nothing.

    The authorities are written to a file in ``folder``, which apt's own user must be able to read.
    """
    if not any(own.get(name) for name in _VARIABLES):
        return []
    bundle = folder / "authorities.pem"
    with bundle.open("wb") as sink:
        for file in _files(own):
            with contextlib.suppress(OSError):
                sink.write(file.read_bytes() + b"\n")
    bundle.chmod(0o644)
    return [f'Acquire::https::CAInfo "{bundle}";']


def missing_file(own: Mapping[str, str] = os.environ) -> str | None:
    """The variable that names a missing file or folder of certificates; OpenSSL and Go don't report that."""
    for name in _VARIABLES:
        paths = own.get(name, "").split(os.pathsep if name == "SSL_CERT_DIR" else "\0")
        if lost := [path for path in paths if path and not Path(path).exists()]:
            return f"${name} names {lost[0]}, which doesn't exist"
    return None


def _files(own: Mapping[str, str]) -> Iterator[Path]:
    """The system's bundle, then the files that the environment names; OpenSSL reads only hashed names in a folder."""
    yield SYSTEM
    if file := own.get("SSL_CERT_FILE"):
        yield Path(file)
    for folder in filter(None, own.get("SSL_CERT_DIR", "").split(os.pathsep)):
        if Path(folder) != SYSTEM.parent:
            with contextlib.suppress(OSError):
                yield from (path for path in sorted(Path(folder).iterdir()) if path.is_file())


def issuer(host: str, port: int) -> str | None:
    """The issuer of a server's certificate, as text; None if that can't be found out. Nothing is trusted."""
    careless = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    careless.check_hostname, careless.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), timeout=_ASK_SECONDS) as line,
            careless.wrap_socket(line, server_hostname=host) as talk,
        ):
            shown = talk.getpeercert(binary_form=True)
        name = x509.load_der_x509_certificate(shown or b"").issuer
    except (OSError, ValueError):
        return None
    for kind in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME):
        if found := name.get_attributes_for_oid(kind):
            return str(found[0].value)
    return name.rfc4514_string() or None
