"""The certificate requests of a machine, as the scripts in the node image make them."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nodisk.pki import profiles
from nodisk.spec.model import Lab, Machine


def csr(lab: Lab, machine: Machine, profile: profiles.Profile) -> str:
    """A new key's request for a certificate of ``profile``, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.NameAttribute(NameOID.COMMON_NAME, profile.common_name.format(name=machine.name))]
    if profile.organization:
        names.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, profile.organization))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names))
    found = profiles.sans(profile, lab, machine)
    sans = [*(x509.DNSName(str(name)) for name in found.names), *(x509.IPAddress(one) for one in found.addresses)]
    if sans:
        builder = builder.add_extension(x509.SubjectAlternativeName(sans), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
