"""The names of a cluster: Services, EndpointSlices and pods → DNS records. Pure.

Source: Kubernetes DNS-Based Service Discovery, version 1.1.0 (kubernetes/dns, docs/specification.md). Where it leaves a
choice, this does as CoreDNS: an endpoint without a hostname is called by its address with hyphens (``10-244-1-5``), and
the SRV records of a headless Service give the port on which its endpoints listen.

What the API holds is checked once more: a label that is no label never becomes a record.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address
from typing import Any

VERSION = "1.1.0"
"""Of the schema, as ``dns-version`` tells it."""
PRIORITY, WEIGHT = 0, 100
"""Of all SRV records: the specification leaves them open."""

Object = Mapping[str, Any]
Address = IPv4Address | IPv6Address
Key = tuple[str, str]
"""Namespace and name."""

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?")
_HEADLESS = "None"
_UNREADY = "service.alpha.kubernetes.io/tolerate-unready-endpoints"
_LONGEST = 253


@dataclass(frozen=True, slots=True)
class Record:
    """One resource record; names are lower-case and absolute, with the final dot."""

    name: str
    kind: str
    data: str


@dataclass(frozen=True, slots=True)
class Port:
    """A named port."""

    name: str
    protocol: str
    number: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Addresses of one endpoint."""

    addresses: tuple[Address, ...]
    hostname: str | None
    ready: bool


@dataclass(frozen=True, slots=True)
class Service:
    """What names depend on in a Service."""

    key: Key
    addresses: tuple[Address, ...] = ()
    """Its cluster IPs; none if it is headless, external, or has got none yet."""
    ports: tuple[Port, ...] = ()
    headless: bool = False
    external: str | None = None
    unready: bool = False
    """Its endpoints have names before they are ready."""


@dataclass(frozen=True, slots=True)
class Slice:
    """What names depend on in an EndpointSlice."""

    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[Port, ...] = ()


def service_of(obj: Object) -> Service:
    """A Service as the API gives it."""
    meta, spec = obj["metadata"], obj.get("spec") or {}
    key = (str(meta.get("namespace") or ""), str(meta["name"]))
    if spec.get("type") == "ExternalName":
        return Service(key, external=str(spec.get("externalName") or ""))
    addresses = spec.get("clusterIPs") or [spec.get("clusterIP")]
    tolerates = (meta.get("annotations") or {}).get(_UNREADY) == "true"
    return Service(
        key,
        _addresses(addresses),
        _ports(spec.get("ports")),
        headless=spec.get("clusterIP") == _HEADLESS,
        unready=tolerates or spec.get("publishNotReadyAddresses") is True,
    )


def slice_of(obj: Object) -> Slice:
    """An EndpointSlice as the API gives it, of ``discovery.k8s.io/v1`` or ``v1beta1``."""
    endpoints = tuple(
        Endpoint(
            _addresses(one.get("addresses")),
            one.get("hostname"),
            # An absent condition means ready (discovery.k8s.io/v1, EndpointConditions).
            (one.get("conditions") or {}).get("ready") is not False,
        )
        for one in obj.get("endpoints") or []
    )
    return Slice(endpoints, _ports(obj.get("ports")))


def _addresses(texts: Iterable[object] | None) -> tuple[Address, ...]:
    found: list[Address] = []
    for text in texts or ():
        try:
            address = ip_address(str(text))
        except ValueError:  # "None", "", or a slice of host names
            continue
        if getattr(address, "scope_id", None) is None:
            found.append(address)
    return tuple(found)


def _ports(ports: Iterable[Object] | None) -> tuple[Port, ...]:
    """The named ones: unnamed ports have no records."""
    return tuple(
        Port(str(port["name"]), str(port.get("protocol") or "TCP"), int(port["port"]))
        for port in ports or ()
        if port.get("name") and port.get("port")
    )


def names(
    services: Iterable[Service], slices: Mapping[Key, Iterable[Slice]], domain: str, reserved: IPv4Network
) -> frozenset[Record]:
    """All records of a cluster; ``slices``: by their Service; otherwise as ``records``."""
    found = {Record(f"dns-version.{domain}.", "TXT", f'"{VERSION}"')}
    for service in services:
        found.update(records(service, slices.get(service.key, ()), domain, reserved))
    return frozenset(found)


def records(service: Service, slices: Iterable[Slice], domain: str, reserved: IPv4Network) -> tuple[Record, ...]:
    """One Service's records, each once.

    ``slices``: its EndpointSlices. ``domain``: such as ``cluster.local``. ``reserved``: the range of the Services' own
    addresses. An endpoint that claims one of them gets no PTR record: anybody may write Endpoints.
    """
    namespace, name = service.key
    own = f"{name}.{namespace}.svc.{domain}."
    if not (_is_name(own) and _LABEL.fullmatch(name) and _LABEL.fullmatch(namespace)):
        return ()
    if service.external is not None:
        found = _external(own, service.external)
    elif service.headless:
        found = _headless(own, service, slices, reserved)
    else:
        found = _with_address(own, service)
    return tuple(dict.fromkeys(found))


def pod_records(pod: Object, domain: str) -> tuple[Record, ...]:
    """A pod's own records: ``10-244-1-5.NAMESPACE.pod.DOMAIN`` for each of its addresses; none before it has one.

    They are not in the specification, but as old as Kubernetes' DNS (kubernetes/dns, ``Pod records``), CoreDNS has
    them, and every release's conformance specs ask for them. Only pods that there are have one, as with CoreDNS'
    ``pods verified``: nobody can have a certificate's name lead to any address of the range.
    """
    status, namespace = pod.get("status") or {}, str(pod["metadata"].get("namespace") or "")
    if status.get("phase") in ("Succeeded", "Failed") or not _LABEL.fullmatch(namespace):
        return ()
    told = [status.get("podIP"), *(one.get("ip") for one in status.get("podIPs") or ())]
    suffix = f"{namespace}.pod.{domain}."
    return tuple(_forward(f"{_hyphened(one)}.{suffix}", one) for one in dict.fromkeys(_addresses(told)))


def _external(own: str, target: str) -> Iterator[Record]:
    """Section 2.5."""
    absolute = f"{target.lower().removesuffix('.')}."
    if _is_name(absolute):
        yield Record(own, "CNAME", absolute)


def _with_address(own: str, service: Service) -> Iterator[Record]:
    """Section 2.3."""
    for address in service.addresses:
        yield _forward(own, address)
        yield _reverse(address, own)
    if service.addresses:
        for port in service.ports:
            yield from _srv(port, own, own)


def _headless(own: str, service: Service, slices: Iterable[Slice], reserved: IPv4Network) -> Iterator[Record]:
    """Section 2.4."""
    for piece in slices:
        for endpoint in piece.endpoints:
            if not (endpoint.ready or service.unready):
                continue
            for address in endpoint.addresses:
                name = f"{_hostname(endpoint, address)}.{own}"
                if not _is_name(name):
                    continue
                yield _forward(own, address)
                yield _forward(name, address)
                if address not in reserved:
                    yield _reverse(address, name)
                for port in piece.ports:
                    yield from _srv(port, own, name)


def _hostname(endpoint: Endpoint, address: Address) -> str:
    given = (endpoint.hostname or "").lower()
    # Below a Service's name only ports begin with an underscore.
    if _LABEL.fullmatch(given) and not given.startswith("_"):
        return given
    return _hyphened(address)


def _hyphened(address: Address) -> str:
    return address.exploded.replace(":", "-").replace(".", "-")


def _forward(name: str, address: Address) -> Record:
    return Record(name, "A" if address.version == 4 else "AAAA", str(address))


def _reverse(address: Address, name: str) -> Record:
    return Record(f"{address.reverse_pointer}.", "PTR", name)


def _srv(port: Port, own: str, target: str) -> Iterator[Record]:
    name = f"_{port.name}._{port.protocol}.{own}".lower()
    if _is_name(name) and 0 < port.number < 1 << 16:
        yield Record(name, "SRV", f"{PRIORITY} {WEIGHT} {port.number} {target}")


def _is_name(absolute: str) -> bool:
    """Whether it is a name that DNS can hold, of labels that a zone file takes as they are."""
    bare = absolute.removesuffix(".")
    return len(bare) <= _LONGEST and all(_LABEL.fullmatch(label) for label in bare.split("."))
