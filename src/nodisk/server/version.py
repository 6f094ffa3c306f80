"""One version of lab.yaml with all that follows from it, made while the version before is still served."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nodisk.assets import built
from nodisk.pki.authority import Authority
from nodisk.plan import cluster_dns
from nodisk.plan.daemons import Host
from nodisk.records import host as host_record
from nodisk.server import assets, daemons, host, names
from nodisk.server.assets import Built
from nodisk.server.host import Port
from nodisk.server.supervisor import Daemon
from nodisk.server.texts import Texts
from nodisk.spec.model import Lab
from nodisk.state import LabState

Lines = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Version:
    """What a server needs to know of it."""

    lab: Lab
    plan: str
    """A digest of lab.yaml and of what is built for it (``built.fingerprint``)."""
    found: Built
    place: Host
    authority: Authority
    texts: Texts
    """Everything that machines get."""

    @property
    def own_names(self) -> bool:
        """Whether the server answers the cluster's names, because the release brings no program for them."""
        return self.found.release is not None and not self.found.release.has_dns

    @property
    def ports(self) -> tuple[Port, ...]:
        """Those that its daemons bind."""
        return host.bound_ports(self.lab, self.place.interface, names=self.own_names)

    def daemons(self, on_dnsmasq: Lines, on_nginx: Lines, *, students: bool) -> tuple[Daemon, ...]:
        """Its daemons, once it is ``put``; ``on_…``, ``students``: see ``daemons.daemons``."""
        own = self.found.release_bin / "etcd" if self.found.release_bin is not None else None
        return daemons.daemons(
            self.lab,
            self.place,
            etcd_program=own if own is not None and own.exists() else "etcd",  # otherwise Debian's
            on_dnsmasq=on_dnsmasq,
            on_nginx=on_nginx,
            names=self.own_names,
            students=students,
        )


def prepare(state: LabState, lab: Lab, *, starts: bool) -> Version:
    """Find and render what follows from ``lab``; raises what keeps it from being served.

    ``starts``: no server of this lab runs yet, and the PKI is made where there is none. Otherwise no file is written.
    """
    # Before anything is read: a build meanwhile is then one that is missing.
    plan = built.fingerprint(state, lab)
    found = assets.find(state, lab)
    has_dns = found.release is not None and found.release.has_dns
    cluster_dns.need_own(lab, coredns=has_dns)
    daemons.need_programs(lab, names=found.release is not None and not has_dns)
    place = host.inspect(lab, state, uefi=found.uefi)
    authority = Authority(state, lab)
    if starts:
        authority.ensure()
    return Version(lab, plan, found, place, authority, assets.texts(lab, found, authority.ca_pem, place))


def put(state: LabState, version: Version) -> None:
    """Write the files that the daemons read. It may be done again, and changes only what is another by then."""
    version.authority.ensure()
    assets.publish_loaders(version.found, version.place.tftp, version.texts.grub_entry())
    daemons.write(version.lab, version.place)
    if version.own_names:
        names.prepare(version.lab, version.place)
    host_record.write(version.place, state.host)
    host.check_readable(version.place)
