"""Container images from other machines: real containerd, docker-registry, nginx, ``nodisk serve`` and nodisk-peers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.interop.node.peers_program import compile_program
from tests.interop.server.pullers import Image, Puller, containerd, faulty, find_containerd, giving, push, sent
from tests.interop.server.rooms import LAB, Room, running_room

from nodisk import ports

pytestmark = pytest.mark.interop
SIZE = 8 << 20
MACHINES = [f"w{number}" for number in range(1, int(os.environ.get("NODISK_TEST_PULLERS", "3")) + 1)]
FAULTS = {"lies": ("w9", 2), "hangs": ("w10", 2), "breaks off": ("w11", 1), "dies": ("w12", 1)}
"""Each at a machine of its own, and how often another one asks until it has the image."""
PEERS = LAB + "".join(
    f'  - {{{{name: w{n}, mac: "52:54:00:99:00:{20 + n}", address: 10.99.0.{20 + n}, memory: 1GiB}}}}\n'
    for n in range(2, 13)
)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_program(tmp_path_factory.mktemp("program"))


@pytest.fixture(scope="module")
def containerd_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return find_containerd(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    with running_room(lab=PEERS + "peers: {{rate: 400M}}\n") as made:
        yield made


@pytest.fixture(scope="module")
def pullers(room: Room, containerd_program: Path, program: Path) -> Iterator[dict[str, Puller]]:
    """Machines with containerd that give on what they have."""
    with ExitStack() as stack:
        found = {}
        for name in MACHINES:
            found[name] = stack.enter_context(containerd(containerd_program, room, name))
            stack.enter_context(giving(program, room, name, found[name].blobs, 50_000_000))
        yield found


def all_pull(pullers: dict[str, Puller], image: Image) -> list[int]:
    with ThreadPoolExecutor(len(pullers)) as pool:
        return list(pool.map(lambda one: one.pulled(image), pullers.values()))


def test_the_server_sends_about_one_copy(room: Room, pullers: dict[str, Puller]) -> None:
    image = push(room, "students/together", SIZE)
    before = sent(room)
    tries = all_pull(pullers, image)
    copies = (sent(room) - before) / image.size
    print(f"{len(pullers)} pullers with peers: {copies:.2f} copies")
    assert tries == [1] * len(pullers)
    assert copies < 1.3


def test_without_peers_each_machine_costs_a_copy(room: Room, containerd_program: Path) -> None:
    image = push(room, "students/alone", SIZE)
    with ExitStack() as stack:
        found = {
            name: stack.enter_context(containerd(containerd_program, room, name, peers=False)) for name in MACHINES
        }
        before = sent(room)
        with ThreadPoolExecutor(len(found)) as pool:
            assert set(pool.map(lambda one: one.pull(image), found.values())) == {""}
        copies = (sent(room) - before) / image.size
    print(f"{len(found)} pullers without peers: {copies:.2f} copies")
    assert len(MACHINES) <= copies < len(MACHINES) * 1.15


@pytest.mark.parametrize(("fault", "tries"), [(fault, tries) for fault, (_, tries) in FAULTS.items()])
def test_a_faulty_machine_costs_one_try_at_most(room: Room, pullers: dict[str, Puller], fault: str, tries: int) -> None:
    image = push(room, f"faulty/{fault.split(maxsplit=1)[0]}", SIZE)
    first, second = (pullers[name] for name in MACHINES[:2])
    with faulty(room, FAULTS[fault][0], fault, image):
        assert first.pulled(image) <= tries
        log = room.folder / f"faulty-{fault}.log"
        asked = log.read_text().count("asked")
        assert asked == 1, "it was tried, or the test shows nothing"
        assert second.pulled(image) == 1
        assert log.read_text().count("asked") == 1, "nobody is sent there again"


def test_a_machine_that_is_gone_is_not_named(
    room: Room, pullers: dict[str, Puller], containerd_program: Path, program: Path
) -> None:
    image = push(room, "students/gone", SIZE)
    with (
        containerd(containerd_program, room, "w8") as short,
        giving(program, room, "w8", short.blobs),
    ):
        assert short.pulled(image) == 1
    before = sent(room)
    assert pullers[MACHINES[0]].pulled(image) == 1
    assert sent(room) - before >= image.size, "from the server: the other one has been switched off"


def test_who_may_ask_what(room: Room, pullers: dict[str, Puller]) -> None:
    image = push(room, "students/asked", SIZE)
    assert pullers[MACHINES[0]].pulled(image) == 1
    ca = str(room.state.pki / "server-ca.crt")
    base = f"https://10.99.0.1:{ports.REGISTRY}/peers/v2"
    status = ["--cacert", ca, "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}"]

    def ask(machine: str, path: str, *words: str) -> str:
        return room.curl(f"{room.name}-{machine}", *status, *words, base + path).strip()

    good = f"/students/asked/blobs/sha256:{image.layer}"
    assert ask("stranger", good) == "404", "no machine of the lab"
    assert ask("w7", good, "-H", "Authorization: Basic eDp5") == "404", "what is not for everybody"
    assert ask("w7", good, "-X", "DELETE") == "403"
    assert ask("w7", f"/students/other/blobs/sha256:{image.layer}") == "404", "the registry has no such image"
    assert ask("w7", f"/students/asked/blobs/sha256:{image.layer}X") == "404"
    assert ask("w7", "/students/asked/manifests/1") == "404"
    assert ask("w7", good).startswith(f"307 http://10.99.0.21:{ports.LAYERS}/blobs/sha256:")
