"""The server's own certificates: which there are, by whom, for what. Pure."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from ipaddress import IPv4Address

from cryptography import x509

from nodisk.pki import certs, profiles
from nodisk.pki.profiles import Ca, Profile
from nodisk.spec.model import Lab

ADMIN = Profile("admin", "kubernetes-admin", "system:masters")


@dataclass(frozen=True, slots=True)
class Own:
    """One of them."""

    name: str
    ca: Ca
    subject: x509.Name
    usages: tuple[x509.ObjectIdentifier, ...]
    names: tuple[str, ...] = ()
    addresses: tuple[IPv4Address, ...] = ()

    def named(self, certificate: x509.Certificate) -> bool:
        """Whether a certificate is for exactly these names and addresses."""
        found = set[str]()
        with contextlib.suppress(x509.ExtensionNotFound):
            value = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            found = {*value.get_values_for_type(x509.DNSName), *map(str, value.get_values_for_type(x509.IPAddress))}
        return found == {*self.names, *map(str, self.addresses)}


def own_certificates(lab: Lab) -> tuple[Own, ...]:
    """Those of a lab's server."""
    server, loopback = lab.network.server, IPv4Address("127.0.0.1")
    both = (certs.SERVER, certs.CLIENT)  # etcd's gateway dials etcd itself with the server's certificate
    admin = certs.subject(ADMIN.common_name, ADMIN.organization)
    return (
        Own("server", Ca.SERVER, certs.subject("nodisk server"), (certs.SERVER,), ("localhost",), (server, loopback)),
        Own("etcd-server", Ca.ETCD, certs.subject("nodisk etcd"), both, ("localhost",), (server, loopback)),
        Own("etcd-probe", Ca.ETCD, certs.subject("nodisk etcd probe"), (certs.CLIENT,)),
        Own("admin", Ca.CLUSTER, admin, (certs.CLIENT,)),
        Own("metrics", Ca.SERVER, certs.subject("nodisk metrics"), (certs.SERVER,), (profiles.METRICS_HOST,)),
        Own("metrics-client", Ca.CLUSTER, certs.subject(profiles.METRICS_USER), (certs.CLIENT,)),
    )
