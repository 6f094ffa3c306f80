"""Rules between the fields of lab.yaml: small pure functions, Lab in, findings out.

Single values are checked by the model and ``nodisk.values``; lines and columns are added by ``spec.load``.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from nodisk import ports
from nodisk.errors import UsageError
from nodisk.spec import menu as menu_
from nodisk.spec import power as power_
from nodisk.spec import syntax, target, versions
from nodisk.spec import timetable as timetable_
from nodisk.spec.addon_rules import addons
from nodisk.spec.address_rules import addresses, dns, interface, pods, ranges, reachable, services, subnet
from nodisk.spec.cluster_rules import isolation, network, release
from nodisk.spec.finding import Finding, Rule
from nodisk.spec.model import Lab
from nodisk.spec.model_kubernetes import Source
from nodisk.spec.model_os import ImageKind
from nodisk.values import Role
from nodisk.yamltree import Path

RESERVED = frozenset({"api", "kubernetes", "localhost", "nodisk", "registry", "server"})
"""Names that mean the server or the machine itself in the lab's DNS."""

KUBELETS = frozenset(
    {
        "kubernetes.io/hostname",
        *(f"{group}/{name}" for group in ("kubernetes.io", "beta.kubernetes.io") for name in ("os", "arch")),
    }
)
"""Labels that every kubelet sets on its node, and resets."""

MIN_MEMORY_MIB = 512
"""Below this, not even image and kernel fit; a smaller value is a mistake in the unit."""


MAX_MEMORY_MIB = 64 * 1024**2
"""64 TiB."""


def check(lab: Lab) -> list[Finding]:
    """Everything that is wrong with a lab whose individual values are valid."""
    rules = RULES if lab.has_cluster else (*(rule for rule in RULES if rule not in OF_CLUSTER), plain)
    return [finding for rule in rules for finding in rule(lab)]


def unique(lab: Lab) -> Iterator[Finding]:
    """No two machines share a name, a MAC, an address or a seat."""
    for field, what in (("name", "name"), ("mac", "MAC"), ("address", "address"), ("seat", "seat")):
        seen: dict[Hashable, int] = {}
        for index, machine in enumerate(lab.machines):
            value = getattr(machine, field)
            path: Path = ("machines", index, field)
            if value is None:
                continue
            if value in seen:
                first: Path = ("machines", seen[value], field)
                text = f"the {what} {value} is also on {{other}}"
                yield Finding(path, text, f"every machine has its own {what}", other=first, about=(first,))
            else:
                seen[value] = index


def control_plane(lab: Lab) -> Iterator[Finding]:
    """At least one machine must run the API."""
    if not lab.by_role(Role.CONTROL_PLANE):
        about: tuple[Path, ...] = tuple(("machines", index, "role") for index in range(len(lab.machines)))
        text = "no machine has the role control-plane"
        yield Finding(("machines",), text, "add `role: control-plane` to one", about=about, key=True)


def reserved(lab: Lab) -> Iterator[Finding]:
    """No machine has a name that the lab's DNS gives to the server."""
    for index, machine in enumerate(lab.machines):
        if str(machine.name) in RESERVED:
            text = f"the name {machine.name} is reserved"
            yield Finding(("machines", index, "name"), text, f"reserved: {', '.join(sorted(RESERVED))}")


def memory(lab: Lab) -> Iterator[Finding]:
    """A size without a unit is a mistake."""
    for index, machine in enumerate(lab.machines):
        if machine.memory is not None and machine.memory.mib < MIN_MEMORY_MIB:
            text = f"{machine.memory} is not enough to boot"
            yield Finding(("machines", index, "memory"), text, "with its unit: 2GiB, 1536MiB")
        elif machine.memory is not None and machine.memory.mib > MAX_MEMORY_MIB:
            text = f"{machine.memory} is more than any machine can have"
            yield Finding(("machines", index, "memory"), text, "check its unit: 2GiB, 1536MiB")


def suite(lab: Lab) -> Iterator[Finding]:
    """The suite's containerd suits the release."""
    version, source = lab.kubernetes.version, lab.kubernetes.source
    if version is None and source is Source.DEBIAN:
        version = versions.DEBIAN
    chosen = lab.os.suite
    if chosen is None or version is None or chosen in versions.suites(version):
        return
    needs = "containerd 2" if version.line >= (1, 37) else "containerd 1"
    about: tuple[Path, ...] = (("kubernetes", "version"), ("kubernetes", "source"))
    text = f"Kubernetes {version} needs {needs}, which {chosen} has not"
    yield Finding(("os", "suite"), text, " or ".join(versions.suites(version)), about=about)


def image(lab: Lab) -> Iterator[Finding]:
    """Only Debian's image has what a machine needs to enrol and join."""
    if lab.os.image is not ImageKind.DEBIAN:
        text = (
            f"{lab.os.image} can't be booted by this nodisk: only Debian's image has kubelet and nodisk's own programs"
        )
        yield Finding(("os", "image"), text, "`image: debian`, or remove it")


def packages(lab: Lab) -> Iterator[Finding]:
    """Names of Debian packages, and a mirror's URL."""
    for field in ("packages", "firmware"):
        for index, name in enumerate(getattr(lab.os, field)):
            if not syntax.is_package(name):
                yield Finding(("os", field, index), f"{name!r} is not a Debian package name", "lower-case, one an item")
    if lab.os.mirror is not None and not syntax.is_mirror(lab.os.mirror):
        text = f"{lab.os.mirror!r} is not a mirror URL"
        yield Finding(("os", "mirror"), text, "it starts with http://, https:// or file:///")


def ssh_keys(lab: Lab) -> Iterator[Finding]:
    """Each line is a public key."""
    for index, line in enumerate(lab.ssh_keys):
        if problem := syntax.ssh_key(line):
            yield Finding(("ssh_keys", index), *problem)


def labels(lab: Lab) -> Iterator[Finding]:
    """Labels and taints are valid for Kubernetes."""
    for index, machine in enumerate(lab.machines):
        for key, value in machine.labels.items():
            path: Path = ("machines", index, "labels", key)
            if problem := syntax.label_key(key):
                yield Finding(path, *problem, key=True)
            if problem := syntax.label_value(value):
                yield Finding(path, *problem)
            if key in KUBELETS:
                yield Finding(path, f"kubelet itself sets {key}", "choose another name", key=True)
        seen: dict[tuple[str, str], int] = {}
        for number, taint in enumerate(machine.taints):
            place: Path = ("machines", index, "taints", number)
            if problem := syntax.label_key(taint.key):
                yield Finding((*place, "key"), *problem)
            if problem := syntax.label_value(taint.value):
                yield Finding((*place, "value"), *problem)
            first = seen.setdefault((taint.key, taint.effect), number)
            if first != number:
                text = f"the taint {taint.key}:{taint.effect} is also on {{other}}"
                yield Finding(place, text, "keep one of them", other=(*place[:-1], first))


def plain(lab: Lab) -> Iterator[Finding]:
    """Without a cluster nothing is set that only a cluster has."""
    engine: Path = ("kubernetes", "engine")
    places: list[Path] = [("kubernetes", key) for key in sorted(lab.kubernetes.model_fields_set - {"engine"})]
    for index, machine in enumerate(lab.machines):
        places += [("machines", index, key) for key in ("labels", "taints") if getattr(machine, key)]
    places += [("addons",)] if lab.addons else []
    places += [("class_registry",)] if lab.class_registry is not None else []
    for path in places:
        yield Finding(path, f"`{path[-1]}` has no effect with engine: none", "remove it", about=(engine,), key=True)


def class_registry(lab: Lab) -> Iterator[Finding]:
    """No namespace may have more than all of them."""
    found = lab.class_registry
    if found is not None and found.per_namespace.bytes > found.size.bytes:
        what = f"one namespace may have {found.per_namespace}, and all of them together {found.size}"
        key: Path = ("class_registry", "per_namespace" if "per_namespace" in found.model_fields_set else "size")
        yield Finding(key, what, "raise size, or give per_namespace less")


def butane(lab: Lab) -> Iterator[Finding]:
    """Snippets are YAML mappings; ``nodisk.butane`` checks their content."""
    places: list[tuple[Path, str | None]] = [(("butane",), lab.butane)]
    places += [(("roles", role.value, "butane"), settings.butane) for role, settings in lab.roles.items()]
    places += [(("machines", index, "butane"), machine.butane) for index, machine in enumerate(lab.machines)]
    for path, text in places:
        if text is not None and (problem := syntax.snippet(text)):
            line, what, hint = problem
            yield Finding(path, what, hint, line=line)


def power(lab: Lab) -> Iterator[Finding]:
    """A way to switch has what it needs, and nothing that belongs to another way."""
    for index, machine in enumerate(lab.machines):
        place: Path = ("machines", index, "power")
        for wrong in power_.problems(machine.power):
            about: tuple[Path, ...] = (place, (*place, "kind"), (*place, wrong.key))
            yield Finding((*place, wrong.at), wrong.what, wrong.hint, about=about, key=wrong.is_key)


def backup(lab: Lab) -> Iterator[Finding]:
    """A place that restic knows."""
    if lab.backup is not None:
        try:
            target.parse(lab.backup.target)
        except UsageError as error:
            yield Finding(("backup", "target"), error.message, target.FORMS)
        if not any(lab.backup.keep.model_dump().values()):
            yield Finding(("backup", "keep"), "no backup would be kept", "at least `last: 1`")
        if (when := lab.backup.schedule) is not None and not syntax.is_calendar(when):
            yield Finding(("backup", "schedule"), f"{when!r} is no calendar event", "such as daily, or Mon..Fri 18:00")


def timetable(lab: Lab) -> Iterator[Finding]:
    """Lessons don't overlap, and leave the room a pause in which it is off."""
    for wrong in timetable_.problems(lab.timetable) if lab.timetable is not None else ():
        other = None if wrong.other is None else ("timetable", *wrong.other)
        yield Finding(("timetable", *wrong.at), wrong.what, wrong.hint, other=other)


def menu(lab: Lab) -> Iterator[Finding]:
    """The menu's entries can be written into boot scripts, and every default is there."""
    for wrong in menu_.problems(lab):
        yield Finding(wrong.path, wrong.what, wrong.hint, about=wrong.about, key=wrong.is_key)


def console(lab: Lab) -> Iterator[Finding]:
    """The console's port is none of the server's others."""
    if (port := lab.console.port) in ports.OF_SERVER:
        yield Finding(("console", "port"), f"port {port} is another of the server's", f"such as {ports.CONSOLE}")


RULES: tuple[Rule, ...] = (
    subnet,
    addresses,
    dns,
    reachable,
    interface,
    unique,
    ranges,
    pods,
    services,
    control_plane,
    reserved,
    memory,
    release,
    network,
    isolation,
    suite,
    image,
    packages,
    ssh_keys,
    labels,
    butane,
    power,
    addons,
    backup,
    timetable,
    menu,
    console,
    class_registry,
)
OF_CLUSTER: tuple[Rule, ...] = (
    reachable,
    ranges,
    pods,
    services,
    control_plane,
    release,
    network,
    isolation,
    suite,
    labels,
    addons,
    class_registry,
)
"""Rules for labs with a cluster."""
