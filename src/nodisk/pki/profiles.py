"""Which certificates a machine of each role may have: the table of docs/explanation/architecture.md as data, and the
check of a CSR against it.

A CSR comes from a machine that isn't trusted yet, so only its public key is used. The rest is compared with the table
exactly, and any difference is refused: it means another version of nodisk, or an attack.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Address

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from nodisk.errors import NodiskError
from nodisk.pki import certs
from nodisk.spec.model import Lab, Machine
from nodisk.values import Role

MACHINE_LIFETIME = timedelta(days=14)
"""Lifetime of a machine's certificates: it enrols at every boot, so they must last as long as a machine may stay on."""
METRICS_HOST = "nodisk-metrics.kube-system.svc"
"""The name by which API servers know the server where it answers for ``metrics.k8s.io``: that of a Service."""
METRICS_USER = "nodisk:metrics"
"""Whom kubelets see when the server asks what they use; it may do nothing else."""
MAX_CSR = 8192
"""Characters of one CSR's PEM; an RSA-4096 one is about 1,800."""


class Refused(NodiskError):
    """A CSR doesn't match its profile; the message is one line for the machine's log."""


class Ca(StrEnum):
    """Which authority signs."""

    CLUSTER = "ca"
    ETCD = "etcd-ca"
    FRONT_PROXY = "front-proxy-ca"
    SERVER = "server-ca"


@dataclass(frozen=True, slots=True)
class Profile:
    """One row of the table. ``{name}`` in a text stands for the machine's name."""

    name: str
    common_name: str
    organization: str | None = None
    ca: Ca = Ca.CLUSTER
    server: bool = False
    """Whether it names hosts (serverAuth) or a client (clientAuth)."""
    control_plane_only: bool = True


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("kubelet-client", "system:node:{name}", "system:nodes", control_plane_only=False),
        Profile("kubelet-server", "system:node:{name}", "system:nodes", server=True, control_plane_only=False),
        Profile("kube-proxy", "system:kube-proxy", control_plane_only=False),
        Profile("apiserver", "kube-apiserver", server=True),
        Profile("apiserver-kubelet-client", "kube-apiserver-kubelet-client", "system:masters"),
        Profile("apiserver-etcd-client", "kube-apiserver-etcd-client", ca=Ca.ETCD),
        Profile("front-proxy-client", "front-proxy-client", ca=Ca.FRONT_PROXY),
        Profile("controller-manager", "system:kube-controller-manager"),
        Profile("scheduler", "system:kube-scheduler"),
        Profile("admin", "kubernetes-admin", "system:masters"),
    )
}


@dataclass(frozen=True, slots=True)
class Sans:
    """Subject alternative names."""

    names: tuple[str, ...] = ()
    addresses: tuple[IPv4Address, ...] = ()


def allowed(role: Role) -> tuple[Profile, ...]:
    """The profiles that a machine of that role may have."""
    return tuple(p for p in PROFILES.values() if role is Role.CONTROL_PLANE or not p.control_plane_only)


def sans(profile: Profile, lab: Lab, machine: Machine) -> Sans:
    """The exact names and addresses in this machine's certificate of this profile."""
    if not profile.server:
        return Sans()
    name = str(machine.name)
    if profile.name == "kubelet-server":
        return Sans((name,), (machine.address,))
    service = lab.kubernetes.services.network_address + 1
    inner = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
    addresses = (machine.address, lab.network.server, service, IPv4Address("127.0.0.1"))
    return Sans((name, *inner, "localhost"), tuple(dict.fromkeys(addresses)))


def check(profile: Profile, lab: Lab, machine: Machine, csr_pem: str) -> ec.EllipticCurvePublicKey | rsa.RSAPublicKey:
    """Return the public key of a CSR that is exactly what ``profile`` allows this machine; raises Refused."""
    what = profile.name
    if profile not in allowed(machine.role):
        raise Refused(f"{what}: a {machine.role} may not have this")
    request = _parse(what, csr_pem)
    wanted = certs.subject(profile.common_name.format(name=machine.name), profile.organization)
    if sorted(a.rfc4514_string() for a in request.subject) != sorted(a.rfc4514_string() for a in wanted):
        raise Refused(f"{what}: the subject must be {wanted.rfc4514_string()}, not {_short(request.subject)}")
    if list(request.attributes) and any(
        attribute.oid != x509.oid.AttributeOID.UNSTRUCTURED_NAME for attribute in _others(request)
    ):
        raise Refused(f"{what}: the request has attributes besides its extensions")
    wanted_sans = sans(profile, lab, machine)
    found = _sans(what, request)
    if set(found.names) != set(wanted_sans.names) or set(found.addresses) != set(wanted_sans.addresses):
        raise Refused(f"{what}: the alternative names must be {_list(wanted_sans)}, not {_list(found)}")
    return _key(what, request)


def sign(
    profile: Profile, lab: Lab, machine: Machine, csr_pem: str, signer: certs.Signer, *, now: datetime | None = None
) -> x509.Certificate:
    """The certificate for a CSR that ``check`` accepts; everything but the key comes from the table."""
    key = check(profile, lab, machine, csr_pem)
    names = sans(profile, lab, machine)
    return certs.issue(
        signer,
        certs.subject(profile.common_name.format(name=machine.name), profile.organization),
        key,
        usages=(certs.SERVER,) if profile.server else (certs.CLIENT,),
        names=names.names,
        addresses=names.addresses,
        lifetime=MACHINE_LIFETIME,
        now=now,
    )


def _parse(what: str, csr_pem: str) -> x509.CertificateSigningRequest:
    if len(csr_pem) > MAX_CSR:
        raise Refused(f"{what}: the request is longer than {MAX_CSR} characters")
    try:
        request = x509.load_pem_x509_csr(csr_pem.encode("ascii"))
        genuine = request.is_signature_valid
        _ = (request.subject, request.extensions, request.attributes)
    except Exception as error:  # the library has a dozen for bytes that are no request, and none of them is our fault
        raise Refused(f"{what}: not a certificate request in PEM") from error
    if not genuine:
        raise Refused(f"{what}: the request is not signed by its own key")
    return request


def _others(request: x509.CertificateSigningRequest) -> Sequence[x509.Attribute]:
    extension_request = x509.ObjectIdentifier("1.2.840.113549.1.9.14")
    return [attribute for attribute in request.attributes if attribute.oid != extension_request]


def _sans(what: str, request: x509.CertificateSigningRequest) -> Sans:
    names: list[str] = []
    addresses: list[IPv4Address] = []
    for extension in request.extensions:
        value = extension.value
        if not isinstance(value, x509.SubjectAlternativeName):
            raise Refused(
                f"{what}: the request has an extension besides alternative names ({extension.oid.dotted_string})"
            )
        for general in value:
            if isinstance(general, x509.DNSName):
                names.append(general.value)
            elif isinstance(general, x509.IPAddress) and isinstance(general.value, IPv4Address):
                addresses.append(general.value)
            else:
                raise Refused(f"{what}: an alternative name is neither a host name nor an IPv4 address")
    return Sans(tuple(names), tuple(addresses))


def _key(what: str, request: x509.CertificateSigningRequest) -> ec.EllipticCurvePublicKey | rsa.RSAPublicKey:
    try:
        key = request.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Refused(f"{what}: the kind of key is not known here") from error
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
        return key
    if isinstance(key, rsa.RSAPublicKey) and 2048 <= key.key_size <= 4096 and key.public_numbers().e == 65537:
        return key
    raise Refused(f"{what}: the key must be EC P-256, EC P-384 or RSA of 2048 to 4096 bits")


def _short(name: x509.Name) -> str:
    text = name.rfc4514_string().encode("ascii", "backslashreplace").decode()
    return (text[:80] + "…") if len(text) > 80 else text or "empty"


def _list(found: Sans) -> str:
    words = [*sorted(found.names), *sorted(str(address) for address in found.addresses)]
    text = ", ".join(words).encode("ascii", "backslashreplace").decode()
    return (text[:200] + "…") if len(text) > 200 else text or "none"
