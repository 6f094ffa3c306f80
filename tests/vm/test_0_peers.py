"""``peers:`` on machines: they give each other the root file system, and workers give each other images' layers.

Machines are switched on one after the other, so that each finds some that are further on. What the server sent is read
from its own records, which come from nginx' log; what came from machines is their own word, in the event ``rootfs``.
"""

from __future__ import annotations

import json
import re
import shlex
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.vm.driver import Driver, lab_of_its_own
from tests.vm.faults import on

from nodisk import ports
from nodisk.assets import built
from nodisk.bench import cold_image
from nodisk.machines.power import Power
from nodisk.plan import chunks, containers
from nodisk.plan.facts import AssetRef
from nodisk.records.hardware import MIB

pytestmark = [pytest.mark.vm, pytest.mark.apart]

ADDRESSES = {"cp1": "10.94.0.11", "w1": "10.94.0.21", "w2": "10.94.0.22"}
LIAR = "w1"
# The liar holds another copy of the root file system, which it alters.
LAB = f"""\
name: vmtest-peers
network: {{subnet: 10.94.0.0/24, server: 10.94.0.1}}
os: {{kernel: cloud}}
peers: {{rate: 200M}}
machines:
  - {{name: cp1, mac: "52:54:00:94:00:0b", address: {ADDRESSES["cp1"]}, role: control-plane, memory: 2GiB}}
  - {{name: w1, mac: "52:54:00:94:00:15", address: {ADDRESSES["w1"]}, memory: 1280MiB}}
  - {{name: w2, mac: "52:54:00:94:00:16", address: {ADDRESSES["w2"]}, memory: 1GiB}}
"""
ROOTFS = "root.squashfs"
MOST = 0.75
"""Of a copy: what the server may send to a machine that others could give it to. An emulated one is slow now and then,
and is left for five seconds then."""
DENIED = "gave what the list of chunks denies"


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """The first worker starts when the control plane is Ready, the second when the first has its root file system."""
    with lab_of_its_own(tmp_path_factory.mktemp("vmtest-peers"), LAB) as driver:
        driver("build", timeout=1800)
        driver.start_server()
        driver("lab", "power", "cp1", "on")
        driver.await_ready("cp1")
        began = time.time()
        switch_on(driver, "w1")
        driver.await_event("w1", ("config",), began)
        switch_on(driver, "w2")
        driver.await_ready("w1", "w2")
        power(driver).stand_back()  # from here on it is the API that everything waits for
        yield driver


def power(room: Driver) -> Power:
    context = room.context()
    return Power(context.lab, context.state)


def switch_on(room: Driver, name: str) -> None:
    """The control plane is Ready: nobody has to stand back for it."""
    room("lab", "power", name, "on")
    power(room).level()


def of_image(room: Driver, name: str = ROOTFS) -> AssetRef:
    context = room.context()
    return built.manifests(context.state.state, context.lab)["image"].file(name)


def from_server(room: Driver, name: str) -> int:
    """Bytes of the root file system that nginx sent to the machine in its newest boot."""
    loaded: dict[str, int] = room.status()["machines"][name]["loaded"]
    return loaded.get(ROOTFS, 0)


def told(room: Driver, name: str, since: float) -> tuple[int, int]:
    """MiB from the server and from other machines, as the machine counted what it kept in its newest boot."""
    details = [event["detail"] for event in room.events(name, since) if event["stage"] == "rootfs"]
    match = re.fullmatch(r"(\d+) MiB from the server, (\d+) from other machines", details[-1])
    assert match is not None, details
    return int(match[1]), int(match[2])


def print_boot(room: Driver, name: str, since: float) -> None:
    size, stages = of_image(room).size, room.status()["machines"][name]["stages"]
    sent, (server, others) = from_server(room, name), told(room, name, since)
    print(
        f"{name}: the server sent {sent / MIB:.1f} of {size / MIB:.1f} MiB ({sent / size:.2f} copies); "
        f"it says {server} MiB from the server, {others} from other machines; "
        f"kernel {stages['kernel']}, rootfs {stages['rootfs']}, ready {stages['ready']}"
    )


def assert_whole(room: Driver, name: str) -> None:
    """What the machine booted is what was built; its initramfs has compared that, too, or it would not run."""
    said = on(room, name, "sudo sha256sum /run/nodisk/ram/root.squashfs")
    assert said.split()[0] == of_image(room).sha256


def test_later_machines_get_the_image_from_earlier_ones(room: Driver) -> None:
    size = of_image(room).size
    for name in ADDRESSES:
        print_boot(room, name, 0)
    sent = {name: from_server(room, name) for name in ADDRESSES}
    assert sent["cp1"] >= size, "nobody could give it any"
    assert sent["w1"] < MOST * size
    assert sent["w2"] < MOST * size
    assert sent["w1"] + sent["w2"] < size, "less than one copy for two machines"
    for name in ("w1", "w2"):
        server, others = told(room, name, 0)
        assert server <= sent[name] // MIB, "what it threw away was sent, too"
        assert 0 <= size // MIB - server - others <= 1
        assert f"nodisk.chunks={of_image(room, chunks.FILE).sha256} " in on(room, name, "cat /proc/cmdline")
        assert_whole(room, name)
        details = [event["detail"] for event in room.events(name, 0)]
        assert not [detail for detail in details if DENIED in detail or "all from the server" in detail]
    assert room.status()["alarms"] == 0


# ---- layers of container images ----


@dataclass(frozen=True)
class Way:
    """How the large layer of one image went to machines."""

    sent: Counter[str]
    """Bytes of it that the registry gave, by the address that got them."""
    named: list[str]
    """Addresses that were sent to another machine for it."""


def answers(room: Driver) -> list[dict[str, Any]]:
    """What nginx has answered, in order."""
    folder = room.context().state.log
    files = [file for name in ("nginx.log.1", "nginx.log") if (file := folder / name).exists()]
    lines = [line for file in files for line in file.read_text(errors="replace").splitlines()]
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


def way(found: list[dict[str, Any]]) -> Way:
    """Of the largest layer in these answers."""
    blobs = f"/v2/{cold_image.REPOSITORY}/blobs/"
    gets = [one for one in found if one["method"] == "GET"]
    given = [one for one in gets if one["uri"].startswith(blobs) and one["status"] in {200, 206}]
    total: Counter[str] = Counter()
    for one in given:
        total[one["uri"]] += one["bytes"]
    layer = total.most_common(1)[0][0]
    sent: Counter[str] = Counter()
    for one in given:
        if one["uri"] == layer:
            sent[one["address"]] += one["bytes"]
    return Way(sent, [one["address"] for one in gets if one["uri"] == f"/peers{layer}" and one["status"] == 307])


def run_on(room: Driver, machine: str, pod: str, image: str) -> None:
    spec = json.dumps({"apiVersion": "v1", "spec": {"nodeName": machine}})
    room("kubectl", "run", pod, f"--image={image}", "--restart=Never", f"--overrides={spec}")
    room("kubectl", "wait", "--for=condition=Ready", f"pod/{pod}", "--timeout=580s")


def test_workers_keep_layers_and_give_them(room: Driver) -> None:
    for name in ("w1", "w2"):
        assert on(room, name, f"systemctl is-active {containers.LAYERS_SERVICE}") == "active\n"
    state = on(room, "cp1", f"systemctl is-active {containers.LAYERS_SERVICE} || true")
    assert state == "inactive\n", "a control plane pulls from the registry alone"


def test_the_registry_sends_a_layer_once(room: Driver) -> None:
    """Two workers pull one image after the other.

    The server gives a machine a second to say that it has a layer, which an emulated one may miss: then the registry
    sends it again, as is right, and the next image is looked at.
    """
    with cold_image.ColdImages(room.context().state, "peers") as images:
        for number, (first, second) in enumerate((("w1", "w2"), ("w2", "w1"), ("w1", "w2"))):
            image, before = images.make(number), len(answers(room))
            began = time.monotonic()
            run_on(room, first, f"cold{number}-{first}", image)
            between = time.monotonic()
            run_on(room, second, f"cold{number}-{second}", image)
            found = way(answers(room)[before:])
            print(
                f"image {number}: of a layer of {cold_image.SIZE / MIB:g} MiB the registry sent "
                f"{sum(found.sent.values()) / MIB:.2f} MiB, by machine {dict(found.sent)}; sent elsewhere: "
                f"{found.named}; {first} runs after {between - began:.0f} s, {second} after "
                f"{time.monotonic() - between:.0f} s"
            )
            # One pod stays, for the next test.
            gone = [f"cold{number}-{machine}" for machine in ("w1", "w2") if (number, machine) != (0, "w1")]
            room("kubectl", "delete", "pod", *gone)
            if set(found.sent) == {ADDRESSES[first]}:
                break
    assert set(found.sent) == {ADDRESSES[first]}, "only the first one got it from the registry"
    assert cold_image.SIZE <= found.sent[ADDRESSES[first]] < 1.1 * cold_image.SIZE
    assert set(found.named) == {ADDRESSES[second]}


def test_pods_reach_no_giver(room: Driver) -> None:
    """Neither on their own machine nor on another; machines do, and pods reach what else listens there."""
    givers = [f"{ADDRESSES[name]}:{ports.PEERS}" for name in ADDRESSES]
    givers += [f"{ADDRESSES[name]}:{ports.LAYERS}" for name in ("w1", "w2")]
    ask = "curl -s -m 20 -o /dev/null -w '%{http_code}' http://$at/"
    said = on(room, "w1", f'for at in {" ".join(givers)}; do echo "$at $({ask})"; done')
    assert said.splitlines() == [f"{at} 404" for at in givers], "they are there, and answer machines"

    kubelet = f"{ADDRESSES['w2']}:{ports.KUBELET}"
    ask = "timeout 30 wget -q -O /dev/null http://$at/ 2>&1 | tr '\\n' ' '"
    script = f'for at in {" ".join([*givers, kubelet])}; do echo "$at $({ask})"; done'
    lines = room("kubectl", "exec", "cold0-w1", "--", "sh", "-c", script).stdout.splitlines()
    answered = {at: text for at, _, text in (line.partition(" ") for line in lines)}
    assert "400 Bad Request" in answered.pop(kubelet), "this pod reaches machines"
    assert set(answered) == set(givers)
    assert all("refused" in text for text in answered.values()), answered
    # By the two rules, one for each way: the program would have answered.
    rules = on(room, "w1", "sudo nft list table ip nodisk")
    packets = re.findall(rf"dport [^\n]*{ports.PEERS}[^\n]* packets (\d+)", rules)
    assert len(packets) == 2, rules
    assert all(map(int, packets)), rules


# ---- a machine that plays false ----

_LISTENS = f"ss -Hltnp sport = :{ports.PEERS}"
_LIE = f"""\
set -eu
pid=$({_LISTENS} | sed -n 's/.*pid=\\([0-9]*\\).*/\\1/p')
mapfile -d '' -t words </proc/$pid/cmdline
kill $pid
mkdir /run/liar
mount -t tmpfs liar /run/liar
cp "${{words[1]}}" /run/liar/{ROOTFS}
words[1]=/run/liar/{ROOTFS}
systemd-run --quiet --unit=liar {containers.GIVER} "${{words[@]:1}}"
"""
"""The real program with a copy, which it checks before it listens, and never again."""
_ALTER = f"""\
set -eu -o pipefail
tr '\\000' '\\001' </run/nodisk/ram/{ROOTFS} | dd of=/run/liar/{ROOTFS} bs=1M conv=notrunc iflag=fullblock status=none
"""
"""Every zero becomes a one: no chunk stays as it was."""


def as_root(room: Driver, machine: str, script: str) -> str:
    return on(room, machine, f"sudo bash -c {shlex.quote(script)}")


def test_a_liar_is_named_and_nobody_boots_what_it_gives(room: Driver) -> None:
    as_root(room, LIAR, _LIE)
    room.wait(lambda: on(room, LIAR, _LISTENS) != "", "the liar gives", seconds=300)
    as_root(room, LIAR, _ALTER)
    before, began = room.boot_ids(), time.time()
    room("lab", "power", "w2", "cut")
    switch_on(room, "w2")
    room.await_ready("w2", before=before)
    print_boot(room, "w2", began)
    denied = [event["detail"] for event in room.events("w2", began) if DENIED in event["detail"]]
    print("\n".join(denied))
    assert len(denied) == 1, "it is not asked again"
    assert f"peer {ADDRESSES[LIAR]} {DENIED} (chunk " in denied[0]
    assert from_server(room, "w2") < of_image(room).size, "the honest one gives all the same"
    assert_whole(room, "w2")
    assert room.status()["machines"][LIAR]["node"] == "ready"
    assert on(room, LIAR, "systemctl is-active liar") == "active\n", "it was there all the time"
