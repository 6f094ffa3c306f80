"""All of the server's daemon configurations at once, by file name."""

from __future__ import annotations

from pathlib import Path

from nodisk.plan import daemons, daemons_dnsmasq, daemons_nginx, daemons_unbound
from nodisk.plan.daemons import Host
from nodisk.spec.model import Lab


def configure(lab: Lab, host: Host) -> dict[str, str]:
    """Every daemon's configuration: file name → text; without a cluster no etcd, registry and unbound. Pure."""
    cluster = {
        daemons_unbound.CONF: daemons_unbound.unbound(lab, host),
        "etcd.yaml": daemons.etcd(lab, host),
        "registry.yaml": daemons.registry(host),
    }
    if lab.isolates_names:
        cluster[daemons_unbound.GATE] = daemons_unbound.gate(lab, host)
    if lab.class_registry is not None:
        cluster[f"{daemons.CLASS_REGISTRY}.yaml"] = daemons.registry(host, daemons.CLASS_REGISTRY)
    return {
        "dnsmasq.conf": daemons_dnsmasq.dnsmasq(lab, host),
        "nginx.conf": daemons_nginx.nginx(lab, host),
        **(cluster if lab.has_cluster else {}),
        "chrony.conf": daemons.chrony(lab, host),
    }


def usual_host(lab: Lab, root: Path, objects: Path) -> Host:
    """A host as far as lab.yaml describes it, to show configurations without access to the server's host.

    ``root``: the lab's folder; ``objects``: the store's. An interface that lab.yaml doesn't name is shown as
    ``INTERFACE``.
    """
    return Host(
        interface=lab.network.interface or "INTERFACE",
        conf=root / "conf",
        run=root / "run",
        data=root,
        pki=root / "pki",
        objects=objects,
        tftp=root / "www" / "ipxe",
        stream_module=Path("/usr/lib/nginx/modules/ngx_stream_module.so"),
    )
