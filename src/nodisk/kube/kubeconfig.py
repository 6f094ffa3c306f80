"""kubeconfig files: read what nodisk needs, and write self-contained ones."""

from __future__ import annotations

import base64
import binascii
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from nodisk import yamltext
from nodisk.errors import EnvironmentProblem, SpecError
from nodisk.kube import goyaml
from nodisk.state import LabState


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An API server and the client that talks to it."""

    server: str
    """``https://ADDRESS:PORT``."""
    ca_pem: str
    """The certificate authorities that may have signed the server's certificate."""
    cert_pem: str | None = None
    key_pem: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)

    def ssl_context(self, *, identity: bool = True) -> ssl.SSLContext:
        """TLS that trusts this CA alone; ``identity`` adds the client certificate.

        Raises EnvironmentProblem for a certificate that has expired, because the API server would only say 401.
        """
        context = ssl.create_default_context(cadata=self.ca_pem)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if identity and self.cert_pem is not None and self.key_pem is not None:
            _refuse_expired(self.cert_pem)
            # OpenSSL wants a file; one that exists only in memory and only for this process leaves no trace.
            handle = os.memfd_create("nodisk-client-key", os.MFD_CLOEXEC)
            try:
                os.write(handle, self.cert_pem.encode() + b"\n" + self.key_pem.encode())
                context.load_cert_chain(f"/proc/self/fd/{handle}")
            finally:
                os.close(handle)
        return context


def _refuse_expired(cert_pem: str) -> None:
    certificate = x509.load_pem_x509_certificate(cert_pem.encode())
    if certificate.not_valid_after_utc < datetime.now(UTC):
        raise EnvironmentProblem(
            f"the client certificate of {certificate.subject.rfc4514_string()} "
            f"expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC",
            hint="show or replace certificates with nodisk pki",
        )


def of_admin(state: LabState) -> Path:
    """A lab's administrator kubeconfig; raises EnvironmentProblem if there is none yet, or this user can't read it."""
    path = state.admin_kubeconfig
    try:
        path.open("rb").close()
    except FileNotFoundError as error:
        raise EnvironmentProblem(
            f"lab {state.name} has no administrator's kubeconfig yet ({path})",
            hint="start the server with nodisk serve or nodisk lab up",
        ) from error
    except PermissionError as error:
        raise EnvironmentProblem(
            f"the administrator's kubeconfig can't be read ({path})", hint="run it as root with sudo"
        ) from error
    return path


def load(path: Path) -> Endpoint:
    """Read the current context of a kubeconfig file; raises SpecError for what nodisk can't use."""
    try:
        documents = goyaml.documents(path.read_bytes())
    except ValueError as error:
        raise SpecError(f"{path} is not a kubeconfig: {error}") from error
    document = documents[0] if documents else None
    if not isinstance(document, dict):
        raise SpecError(f"{path} is not a kubeconfig: the top level is not a mapping")
    current = document.get("current-context")
    context = _named(document, "contexts", current, "context", path)
    cluster = _named(document, "clusters", context.get("cluster"), "cluster", path)
    user = _named(document, "users", context.get("user"), "user", path)
    if cluster.get("insecure-skip-tls-verify"):
        raise SpecError(f"{path}: insecure-skip-tls-verify is set, but nodisk always verifies the server")
    for unsupported in ("exec", "auth-provider", "username"):
        if unsupported in user:
            raise SpecError(f"{path}: users[].{unsupported} is not supported; use a client certificate or a token")
    ca_pem = _content(cluster, "certificate-authority", path)
    if ca_pem is None:
        raise SpecError(f"{path}: the cluster has no certificate authority")
    token = user.get("token")
    if token is None and (token_file := user.get("tokenFile")):
        token = (path.parent / token_file).read_text(encoding="utf-8").strip()
    return Endpoint(
        server=str(cluster["server"]).rstrip("/"),
        ca_pem=ca_pem,
        cert_pem=_content(user, "client-certificate", path),
        key_pem=_content(user, "client-key", path),
        token=token,
    )


def _named(document: dict[str, Any], section: str, name: object, inner: str, path: Path) -> dict[str, Any]:
    for entry in document.get(section) or []:
        if entry.get("name") == name:
            return entry.get(inner) or {}
    raise SpecError(f"{path}: {section} has no entry named {name!r}")


def _content(section: dict[str, Any], key: str, path: Path) -> str | None:
    if data := section.get(f"{key}-data"):
        try:
            return base64.b64decode(data, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise SpecError(f"{path}: {key}-data is not base64-encoded PEM") from error
    if name := section.get(key):
        return (path.parent / str(name)).read_text(encoding="utf-8")
    return None


def render(endpoint: Endpoint, *, cluster: str, user: str, namespaces: Mapping[str, str] | None = None) -> str:
    """The kubeconfig of ``endpoint`` as YAML, with certificates and keys inside; write it with mode 0600.

    ``namespaces``: context's name → its default namespace, the current one first; none: one context without.
    """
    context = {"cluster": cluster, "user": user}
    identity: dict[str, str] = {}
    if endpoint.cert_pem is not None and endpoint.key_pem is not None:
        identity["client-certificate-data"] = base64.b64encode(endpoint.cert_pem.encode()).decode()
        identity["client-key-data"] = base64.b64encode(endpoint.key_pem.encode()).decode()
    if endpoint.token is not None:
        identity["token"] = endpoint.token
    ca_data = base64.b64encode(endpoint.ca_pem.encode()).decode()
    contexts = [{"name": name, "context": context | {"namespace": space}} for name, space in (namespaces or {}).items()]
    contexts = contexts or [{"name": f"{user}@{cluster}", "context": context}]
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster, "cluster": {"server": endpoint.server, "certificate-authority-data": ca_data}}],
        "users": [{"name": user, "user": identity}],
        "contexts": contexts,
        "current-context": contexts[0]["name"],
    }
    return yamltext.dump(document)
