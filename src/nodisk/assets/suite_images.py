"""The container images that the conformance specs of Kubernetes 1.20.2 use, of the suite's source and Debian packages.

None is the official one, so every one is named in a run's report. Where a spec only wants a web server that answers,
busybox' is it; where it runs a program in a container (``dig``, ``curl``, ``nc``), that program is the real one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from nodisk import run
from nodisk.assets import docker_archive, program_files
from nodisk.assets.docker_archive import Config, Entry
from nodisk.assets.release import ReleaseImage
from nodisk.plan.facts import ContainerImage

HOME = "nodisk/e2e"
"""The repository that all of them are in."""
REGISTRIES = ("dockerLibraryRegistry", "e2eRegistry", "gcRegistry", "promoterE2eRegistry")
"""Those of Kubernetes' registries in which the specs' images are. The other registries have none that a conformance
spec uses."""
PROGRAMS = ("agnhost", "nonewprivs", "pause", "sample-apiserver")
"""Compiled from the suite's source, static."""
CERTIFICATE = ("localhost.crt", "localhost.key")
"""For tests, as the source has it."""
PACKAGES = (
    "bind9-dnsutils",
    "bind9-libs",
    "busybox-static",
    "curl",
    "dash",
    "etcd-server",
    "libc-bin",
    "netcat-openbsd",
    "zlib1g",
)
PAGE = b"<html><body><h1>It works!</h1></body></html>\n"
_TOOLS = {
    "curl": ("curl", "usr/bin/curl"),
    "dig": ("bind9-dnsutils", "usr/bin/dig"),
    "getent": ("libc-bin", "usr/bin/getent"),
    "nc": ("netcat-openbsd", "bin/nc.openbsd"),
    "nslookup": ("bind9-dnsutils", "usr/bin/nslookup"),
    # Debian's busybox runs its own nc and nslookup from its own shell, whatever files of that name there are.
    "sh": ("dash", "bin/dash"),
}
"""What specs run in containers and busybox has not, or not with all options: name → package, path in it."""
_NOT_A_TOOL = ("etcd-server",)
# Kerberos, which curl is linked with, looks for servers by the first. The others are empty today, and still asked for.
_LIBC = ("libresolv.so.2", "libdl.so.2", "libpthread.so.0", "librt.so.1")
_PATH = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
# The first process of a container hears no SIGTERM unless it asks for it: each pod would end half a minute late.
_WEB = "trap 'exit 0' TERM; httpd -f -p 80 -h {} & wait $!"
_DATA = '{{\n"image": "{}.jpg"\n}}\n'
"""What the spec of rolling updates looks for: the name of the picture that a pod shows."""


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """An image: its name and tag in Kubernetes' list, its files, and what it runs."""

    name: str
    entries: Sequence[Entry]
    config: Config


def write(images: Iterable[Wanted], folder: Path) -> list[ReleaseImage]:
    """Write the images' archives into ``folder``; equal arguments give equal bytes."""
    made = []
    for one in images:
        name, file = f"{HOME}/{one.name}", one.name.replace(":", "-") + ".tar"
        size = docker_archive.write(folder / file, name=name, entries=one.entries, config=one.config, work=folder)
        made.append(ReleaseImage(ContainerImage.of(name, size), file))
    return made


def repositories() -> str:
    """Kubernetes' file of registries, for KUBE_TEST_REPO_LIST."""
    return "".join(f"{registry}: {HOME}\n" for registry in REGISTRIES)


def wanted(programs: Path, roots: Mapping[str, Path]) -> list[Wanted]:
    """The images, of the compiled programs in ``programs`` and of packages that are unpacked in ``roots``."""
    box = _busybox(roots["busybox-static"])
    tools = _tools(box, roots)
    agnhost = [
        *tools,
        Entry("agnhost", programs / "agnhost"),
        Entry("agnhost-2", link="agnhost"),
        # What its web server with TLS shows.
        *(Entry(name, programs / name, mode=0o644) for name in CERTIFICATE),
        _keep("uploads"),
    ]
    etcd = [
        Entry("usr/local/bin/etcd", _only(roots["etcd-server"], "usr/bin/etcd")),
        *program_files.libraries({"libc6": roots["libc6"]}),
    ]
    nnp = [*box, Entry("usr/local/bin/nnp", programs / "nonewprivs", mode=0o4755)]
    # Its certificates come by a volume in this folder.
    api = [Entry("sample-apiserver", programs / "sample-apiserver"), _keep("tmp")]
    return [
        Wanted("agnhost:2.21", agnhost, _of("/agnhost", "pause")),
        Wanted("busybox:1.29", box, _of("sh")),
        Wanted("etcd:3.4.13-0", etcd, _of("/usr/local/bin/etcd")),
        *(_web(name, box, "usr/local/apache2/htdocs") for name in ("httpd:2.4.38-alpine", "httpd:2.4.39-alpine")),
        *(_web(name, box, "usr/share/nginx/html") for name in ("nginx:1.14-alpine", "nginx:1.15-alpine")),
        Wanted("jessie-dnsutils:1.0", tools, _of("sh")),
        *(_picture(name, programs / "agnhost") for name in ("kitten", "nautilus")),
        Wanted("nonewprivs:1.0", nnp, _of("nnp")),
        Wanted("nonroot:1.0", box, dataclasses.replace(_of("sh"), user="1234")),
        Wanted("pause:3.2", [Entry("pause", programs / "pause")], _of("/pause")),
        Wanted("sample-apiserver:1.17", api, _of("/sample-apiserver")),
    ]


def _of(*words: str) -> Config:
    """With a path first, that program is the entry point; otherwise a pod's ``args`` replace the whole."""
    first = 1 if words[0].startswith("/") else 0
    return Config(words[:first], _PATH, command=words[first:])


def _web(name: str, box: Sequence[Entry], root: str) -> Wanted:
    page = Entry(f"{root}/index.html", PAGE, mode=0o644)
    return Wanted(name, [*box, page], Config((), _PATH, port=80, command=("sh", "-c", _WEB.format(f"/{root}"))))


def _picture(name: str, agnhost: Path) -> Wanted:
    data = Entry("data.json", _DATA.format(name).encode(), mode=0o644)
    return Wanted(f"{name}:1.0", [Entry("agnhost", agnhost), data], _of("/agnhost", "test-webserver"))


def _busybox(root: Path) -> list[Entry]:
    program = _only(root, "bin/busybox", "usr/bin/busybox")
    applets = sorted(set(run.run([program, "--list"]).stdout.split()) - {"busybox"})
    return [
        Entry("bin/busybox", program),
        *(Entry(f"bin/{applet}", link="busybox") for applet in applets),
        Entry("usr/bin/env", link="../../bin/env"),
        Entry("etc/passwd", b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n", mode=0o644),
        Entry("etc/group", b"root:x:0:\nnogroup:x:65534:\n", mode=0o644),
        _keep("tmp"),
    ]


def _tools(box: Sequence[Entry], roots: Mapping[str, Path]) -> list[Entry]:
    found = {entry.path: entry for entry in box}
    for name, (package, path) in _TOOLS.items():
        found[f"bin/{name}"] = Entry(f"bin/{name}", _only(roots[package], path, f"usr/{path}"))
    shared = {package: root for package, root in roots.items() if package not in _NOT_A_TOOL}
    found |= {entry.path: entry for entry in program_files.libraries(shared, of_libc=_LIBC)}
    # Its own have their version before .so.
    for library in sorted(roots["bind9-libs"].glob("**/lib*-Debian.so")):
        target = f"lib/x86_64-linux-gnu/{library.name}"
        found[target] = Entry(target, library)
    found["etc/nsswitch.conf"] = Entry("etc/nsswitch.conf", b"hosts: files dns\n", mode=0o644)
    return [found[path] for path in sorted(found)]


def _keep(folder: str) -> Entry:
    return Entry(f"{folder}/.keep", b"", mode=0o644)


def _only(root: Path, *paths: str) -> Path:
    return next(found for path in paths if (found := root / path).exists()).resolve()
