"""The lab's authorities on disk: created once, checked at every start, and never incomplete.

::

    pki/                 0700, keys 0600
    ├── ca               the cluster: API, kubelets, their clients
    ├── etcd-ca          etcd; signs the API servers' client certificates, the server's own and its probe's
    ├── front-proxy-ca   the API's aggregation layer
    ├── server-ca        nginx's TLS: enrolment and the registry. Machines get it in their (public) config
    ├── sa.key sa.pub    service-account tokens
    ├── server etcd-server etcd-probe admin metrics metrics-client    the server's own certificates, renewed when
    │                they near their end
    ├── admin.kubeconfig
    └── old/TIME/        what a rotation replaced

The server's CA is not the cluster's: whoever steals nginx' key can impersonate the registry, but not the API.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from nodisk import files, ports
from nodisk.errors import IntegrityError
from nodisk.kube import kubeconfig
from nodisk.kube.kubeconfig import Endpoint
from nodisk.pki import certs, profiles
from nodisk.pki.own import Own, own_certificates
from nodisk.pki.profiles import Ca, Profile
from nodisk.spec.model import Lab, Machine
from nodisk.state import LabState
from nodisk.values import Role

LOCK = "pki.lock"
COMPLETE = ".complete"
"""In the folder of a rotation: marks it as complete; its content is the time by which the old one is named."""


@dataclass(frozen=True, slots=True)
class Item:
    """A certificate or key as ``nodisk pki list`` shows it."""

    name: str
    kind: str
    """authority, certificate or key."""
    subject: str
    expires: datetime | None
    file: Path


class Authority:
    """The lab's authorities; call ``ensure`` before anything else."""

    def __init__(self, state: LabState, lab: Lab, *, folder: Path | None = None) -> None:
        self.state = state
        self.lab = lab
        self.folder = folder or state.pki
        self._signers: dict[Ca, certs.Signer] = {}

    def ensure(self, *, now: datetime | None = None) -> bool:
        """Create what is missing, and renew what expires soon; return whether any file changed.

        Safe to interrupt: a key is written before its certificate, and a key without one is reused. Raises
        IntegrityError for a certificate whose key is missing or doesn't match.
        """
        now = now or datetime.now(UTC)
        with files.lock(self.state.root / LOCK, "the lab's PKI"):
            self._recover()
            return self._ensure(now)

    def rotate(self, *, now: datetime | None = None) -> Path:
        """Replace everything; return the folder with the old files.

        The new folder is completed beside the old one, and then takes its place by a rename; ``ensure`` finishes
        what a power cut interrupted between the two renames.
        """
        now = now or datetime.now(UTC)
        with files.lock(self.state.root / LOCK, "the lab's PKI"):
            self._recover()
            new = self._new
            shutil.rmtree(new, ignore_errors=True)
            Authority(self.state, self.lab, folder=new)._ensure(now)
            (new / "old").mkdir(mode=0o700)
            files.write(new / COMPLETE, f"{now:%Y%m%dT%H%M%SZ}\n")
            self._recover()
            self._signers.clear()
        return self.folder / "old" / f"{now:%Y%m%dT%H%M%SZ}"

    @property
    def _new(self) -> Path:
        return self.state.root / "pki.new"

    def _recover(self) -> None:
        """Finish a rotation whose new folder is complete; discard one that isn't."""
        if not (self._new / COMPLETE).exists():
            shutil.rmtree(self._new, ignore_errors=True)
        else:
            retired = self.state.root / "pki.retired"
            if self.folder.exists() and not retired.exists():
                self.folder.rename(retired)
            self._new.rename(self.folder)
            files.sync_folder(self.state.root)
        if (marker := self.folder / COMPLETE).exists():
            self._put_aside(self.folder / "old", marker.read_text().strip())
            marker.unlink()

    def _put_aside(self, old: Path, stamp: str) -> None:
        """Move the old folder, and earlier ones inside it, below the new one."""
        retired = self.state.root / "pki.retired"
        if not retired.exists():
            return
        if (older := retired / "old").exists():
            for folder in older.iterdir():
                folder.rename(old / folder.name)
            older.rmdir()
        retired.rename(old / stamp)

    def _ensure(self, now: datetime) -> bool:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        changed = self._ensure_authorities(now)
        changed |= self._ensure_service_account()
        for own in own_certificates(self.lab):
            changed |= self._ensure_own(own, now)
        return files.write(self.folder / "admin.kubeconfig", self._kubeconfig(), mode=0o600) or changed

    @property
    def ca_pem(self) -> str:
        """The CA of the server's TLS, for the machines' public config (``Facts.ca_pem``)."""
        return self._read(f"{Ca.SERVER}.crt").decode()

    def sign(self, machine: Machine, profile: Profile, csr_pem: str, *, now: datetime | None = None) -> bytes:
        """The certificate (PEM) for a machine's CSR; raises profiles.Refused."""
        return certs.pem(profiles.sign(profile, self.lab, machine, csr_pem, self._signer(profile.ca), now=now))

    def companions(self, role: Role) -> dict[str, bytes]:
        """The files that a machine of that role gets besides its certificates; sa.key only for a control plane."""
        given = {"ca.crt": self._read(f"{Ca.CLUSTER}.crt")}
        if role is Role.CONTROL_PLANE:
            for name in (f"{Ca.FRONT_PROXY}.crt", f"{Ca.ETCD}.crt", "sa.key", "sa.pub"):
                given[name] = self._read(name)
        return given

    def path(self, name: str) -> Path:
        """The path of ``server.crt``, ``server.key`` and so on."""
        return self.folder / name

    def items(self) -> Iterator[Item]:
        """All certificates and keys; authorities first."""
        for ca in Ca:
            yield self._item(str(ca), "authority")
        for own in own_certificates(self.lab):
            yield self._item(own.name, "certificate")
        if (key := self.folder / "sa.key").exists():
            yield Item("sa", "key", "service-account tokens", None, key)

    def _item(self, name: str, kind: str) -> Item:
        file = self.folder / f"{name}.crt"
        certificate = x509.load_pem_x509_certificate(self._read(file.name))
        return Item(name, kind, certificate.subject.rfc4514_string(), certificate.not_valid_after_utc, file)

    def _read(self, name: str) -> bytes:
        file = self.folder / name
        try:
            return file.read_bytes()
        except FileNotFoundError as error:
            raise IntegrityError(
                f"{file} is missing",
                hint="start nodisk serve to create the lab's PKI, or restore the file from a backup",
            ) from error

    def _signer(self, ca: Ca) -> certs.Signer:
        if ca not in self._signers:
            certificate = x509.load_pem_x509_certificate(self._read(f"{ca}.crt"))
            self._signers[ca] = certs.Signer(certificate, certs.load_key(self._read(f"{ca}.key")))
        return self._signers[ca]

    def _ensure_authorities(self, now: datetime) -> bool:
        changed = False
        for ca in Ca:
            crt, key = self.folder / f"{ca}.crt", self.folder / f"{ca}.key"
            if crt.exists():
                self._match(crt, key)
                continue
            pair = certs.load_key(key.read_bytes()) if key.exists() else certs.new_key()
            files.write(key, certs.key_pem(pair), mode=0o600)
            files.write(crt, certs.pem(certs.authority(f"nodisk {self.lab.name} {ca}", pair, now=now)))
            self._signers.pop(ca, None)
            changed = True
        return changed

    def _ensure_service_account(self) -> bool:
        key, pub = self.folder / "sa.key", self.folder / "sa.pub"
        if not key.exists():
            if pub.exists():
                raise IntegrityError(
                    f"{key} is missing, but {pub} exists", hint="restore it, or replace all keys with nodisk pki rotate"
                )
            files.write(key, certs.key_pem(certs.new_key()), mode=0o600)
        return files.write(pub, certs.public_pem(certs.load_key(key.read_bytes())))

    def _ensure_own(self, own: Own, now: datetime) -> bool:
        crt, key = self.folder / f"{own.name}.crt", self.folder / f"{own.name}.key"
        if crt.exists() and key.exists() and self._good(own, crt, key, now):
            return False
        pair = certs.new_key()
        certificate = certs.issue(
            self._signer(own.ca),
            own.subject,
            pair.public_key(),
            usages=own.usages,
            names=own.names,
            addresses=own.addresses,
            lifetime=certs.SERVER_LIFETIME,
            now=now,
        )
        files.write(key, certs.key_pem(pair), mode=0o600)
        files.write(crt, certs.pem(certificate))
        return True

    def _good(self, own: Own, crt: Path, key: Path, now: datetime) -> bool:
        with contextlib.suppress(ValueError, TypeError, InvalidSignature):
            certificate = x509.load_pem_x509_certificate(crt.read_bytes())
            signer = self._signer(own.ca)
            certificate.verify_directly_issued_by(signer.certificate)
            fresh = certificate.not_valid_after_utc - now > certs.SERVER_LIFETIME / 3
            same = certificate.public_key() == certs.load_key(key.read_bytes()).public_key()
            return fresh and same and certificate.subject == own.subject and own.named(certificate)
        return False

    @staticmethod
    def _match(crt: Path, key: Path) -> None:
        """Raise IntegrityError unless the key is the certificate's."""
        if not key.exists():
            raise IntegrityError(
                f"{key} is missing, but {crt} exists", hint="restore it, or replace all keys with nodisk pki rotate"
            )
        try:
            certificate = x509.load_pem_x509_certificate(crt.read_bytes())
            same = certificate.public_key() == certs.load_key(key.read_bytes()).public_key()
        except ValueError as error:
            raise IntegrityError(
                f"{crt} or {key} is damaged: {error}", hint="restore them, or replace all keys with nodisk pki rotate"
            ) from error
        if not same:
            raise IntegrityError(
                f"{key} is not the key of {crt}", hint="restore them, or replace all keys with nodisk pki rotate"
            )

    def _kubeconfig(self) -> str:
        endpoint = Endpoint(
            server=f"https://{self.lab.network.server}:{ports.API}",
            ca_pem=self._read(f"{Ca.CLUSTER}.crt").decode(),
            cert_pem=self._read("admin.crt").decode(),
            key_pem=self._read("admin.key").decode(),
        )
        return kubeconfig.render(endpoint, cluster=str(self.lab.name), user="admin")
