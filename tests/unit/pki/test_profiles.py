"""What is signed, and what never is."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from nodisk.pki import certs, profiles
from nodisk.pki.profiles import PROFILES, Profile, Refused
from nodisk.spec.load import parse
from nodisk.spec.model import Lab, Machine
from nodisk.values import Role

LAB = parse(
    """
name: demo
network: {subnet: 10.77.0.0/24, server: 10.77.0.1}
machines:
  - {name: cp1, mac: 52:54:00:00:00:11, address: 10.77.0.11, role: control-plane}
  - {name: w1, mac: 52:54:00:00:00:21, address: 10.77.0.21}
""",
    file=Path("lab.yaml"),
)
CP1, W1 = LAB.machines
KEY = certs.new_key()
CA_KEY = certs.new_key()
CA = certs.Signer(certs.authority("test", CA_KEY), CA_KEY)
NOW = datetime(2026, 10, 1, tzinfo=UTC)


def csr(
    profile: Profile,
    machine: Machine,
    *,
    name: x509.Name | None = None,
    sans: list[x509.GeneralName] | None = None,
    extra: x509.ExtensionType | None = None,
) -> str:
    wanted = profiles.sans(profile, LAB, machine)
    if sans is None:
        sans = [*map(x509.DNSName, wanted.names), *map(x509.IPAddress, wanted.addresses)]
    subject = certs.subject(profile.common_name.format(name=machine.name), profile.organization)
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject if name is None else name)
    if sans:
        builder = builder.add_extension(x509.SubjectAlternativeName(sans), critical=False)
    if extra:
        builder = builder.add_extension(extra, critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def sign(profile: str, machine: Machine, pem: str, lab: Lab = LAB) -> x509.Certificate:
    return profiles.sign(PROFILES[profile], lab, machine, pem, CA, now=NOW)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda p: p.name)
def test_each_row_of_the_table(profile: Profile) -> None:
    certificate = sign(profile.name, CP1, csr(profile, CP1))
    assert certificate.subject == certs.subject(profile.common_name.format(name="cp1"), profile.organization)
    assert certificate.public_key() == KEY.public_key()
    certificate.verify_directly_issued_by(CA.certificate)
    usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.SERVER_AUTH if profile.server else ExtendedKeyUsageOID.CLIENT_AUTH]
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca) == (True, False)
    assert certificate.not_valid_after_utc - NOW == timedelta(days=14)
    assert NOW - certificate.not_valid_before_utc == timedelta(hours=1)


def test_the_api_s_names() -> None:
    found = profiles.sans(PROFILES["apiserver"], LAB, CP1)
    assert found.names == (
        *("cp1", "kubernetes", "kubernetes.default", "kubernetes.default.svc"),
        *("kubernetes.default.svc.cluster.local", "localhost"),
    )
    assert [str(address) for address in found.addresses] == ["10.77.0.11", "10.77.0.1", "10.96.0.1", "127.0.0.1"]


def test_a_worker_may_have_three() -> None:
    assert [p.name for p in profiles.allowed(Role.WORKER)] == ["kubelet-client", "kubelet-server", "kube-proxy"]
    assert len(profiles.allowed(Role.CONTROL_PLANE)) == len(PROFILES) == 10
    for profile in set(PROFILES.values()) - set(profiles.allowed(Role.WORKER)):
        with pytest.raises(Refused, match="a worker may not have this"):
            sign(profile.name, W1, csr(profile, W1))


NODE = PROFILES["kubelet-client"]
SERVER = PROFILES["kubelet-server"]


def name_of(*parts: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in parts])


CN, ORG, UNIT = NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME


@pytest.mark.parametrize(
    "name",
    [
        name_of((ORG, "system:nodes"), (CN, "system:node:cp1")),
        name_of((ORG, "system:masters"), (CN, "system:node:w1")),
        name_of((CN, "system:node:w1")),
        name_of((ORG, "system:nodes"), (ORG, "system:masters"), (CN, "system:node:w1")),
        name_of((ORG, "system:nodes"), (UNIT, "x"), (CN, "system:node:w1")),
        name_of((ORG, "system:nodes"), (CN, "system:node:w1"), (CN, "admin")),
        name_of((ORG, "system:nodes"), (CN, "system:node:w1 ")),
        name_of((ORG, "system:nodes"), (CN, "System:node:w1")),
    ],
    ids=lambda name: name.rfc4514_string(),
)
def test_another_subject(name: x509.Name) -> None:
    with pytest.raises(Refused, match="the subject must be"):
        sign("kubelet-client", W1, csr(NODE, W1, name=name))


def test_an_empty_subject() -> None:
    with pytest.raises(Refused, match="the subject must be"):
        sign("kubelet-client", W1, csr(NODE, W1, name=x509.Name([])))


@pytest.mark.parametrize(
    "sans",
    [
        [x509.DNSName("w1")],
        [x509.DNSName("cp1"), x509.IPAddress(IPv4Address("10.77.0.21"))],
        [x509.DNSName("w1"), x509.IPAddress(IPv4Address("10.77.0.1"))],
        [x509.DNSName("w1"), x509.DNSName("*"), x509.IPAddress(IPv4Address("10.77.0.21"))],
        [x509.DNSName("w1"), x509.IPAddress(IPv4Address("10.77.0.21")), x509.RFC822Name("a@b")],
        [],
    ],
)
def test_other_names(sans: list[x509.GeneralName]) -> None:
    with pytest.raises(Refused, match="alternative name"):
        sign("kubelet-server", W1, csr(SERVER, W1, sans=sans))


@pytest.mark.parametrize(
    "extra",
    [
        x509.BasicConstraints(ca=True, path_length=None),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"),
    ],
)
def test_other_extensions(extra: x509.ExtensionType) -> None:
    with pytest.raises(Refused, match="an extension besides alternative names"):
        sign("kubelet-client", W1, csr(NODE, W1, extra=extra))


def test_a_request_that_somebody_altered() -> None:
    der = x509.load_pem_x509_csr(csr(NODE, W1).encode()).public_bytes(serialization.Encoding.DER)
    altered = der.replace(b"system:node:w1", b"system:node:w2")
    import base64

    pem = (
        "-----BEGIN CERTIFICATE REQUEST-----\n"
        + base64.b64encode(altered).decode()
        + "\n-----END CERTIFICATE REQUEST-----\n"
    )
    with pytest.raises(Refused, match="not signed by its own key"):
        sign("kubelet-client", W1, pem)


def test_another_curve() -> None:
    key = ec.generate_private_key(ec.SECP521R1())
    subject = certs.subject("system:kube-proxy")
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    with pytest.raises(Refused, match="the key must be"):
        sign("kube-proxy", W1, request.public_bytes(serialization.Encoding.PEM).decode())


@settings(max_examples=200)
@given(st.text(max_size=400) | st.binary(max_size=200).map(lambda b: b.decode("latin-1")))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    with pytest.raises(Refused) as caught:
        sign("kubelet-client", W1, text)
    assert "\n" not in caught.value.message


GOOD = x509.load_pem_x509_csr(csr(SERVER, W1).encode()).public_bytes(serialization.Encoding.DER)


@settings(max_examples=300)
@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_flipped_byte_is_refused(place: int, change: int) -> None:
    """Whatever byte of a good request is altered: it is refused in one line, never a crash, and never signed.

    One octet may change without a change of meaning: the count of unused bits of the signature's BIT STRING, where the
    signature happens to end in zeros. Then what is signed must be what was asked, to the byte.
    """
    der = bytearray(GOOD)
    der[place] ^= change
    body = base64.encodebytes(bytes(der)).decode()
    altered = f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n"
    try:
        sign("kubelet-server", W1, altered)
    except Refused as refused:
        said = refused.message
    else:
        said = "signed"
        good, accepted = x509.load_der_x509_csr(GOOD), x509.load_pem_x509_csr(altered.encode())
        assert accepted.tbs_certrequest_bytes == good.tbs_certrequest_bytes
        assert accepted.signature == good.signature
    assert "\n" not in said
