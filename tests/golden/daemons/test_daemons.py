"""The daemons' configurations, compared to the letter.

``NODISK_UPDATE_GOLDEN=1 pytest tests/golden`` writes the files anew; their diff is then what is reviewed.
"""

from __future__ import annotations

import difflib
import itertools
import os
import re
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.errors import UsageError
from nodisk.plan import show
from nodisk.plan.daemons_dnsmasq import free_range
from nodisk.plan.daemons_files import configure, usual_host
from nodisk.plan.daemons_ganesha import Export, ganesha
from nodisk.spec.load import parse
from nodisk.spec.model import Lab
from nodisk.state import State, check_path

HERE = Path(__file__).parent

MACHINES = """
machines:
  - {name: cp1, mac: 52:54:00:77:00:0b, address: 10.77.0.11, role: control-plane}
  - {name: cp2, mac: 52:54:00:77:00:0c, address: 10.77.0.12, role: control-plane}
  - {name: w1, mac: 52:54:00:77:00:15, address: 10.77.0.21}
"""
NETWORKS = {
    "full": "{subnet: 10.77.0.0/24, server: 10.77.0.1}",
    "proxy": "{subnet: 10.77.0.0/24, server: 10.77.0.1, interface: eno1, gateway: 10.77.0.254, "
    "dns: [10.77.0.254, 9.9.9.9], dhcp: proxy}",
    "none": "{subnet: 10.77.0.0/24, server: 10.77.0.1, dhcp: none}",
}


SECURE_BOOT = {"all": "secure_boot: true\n", "but one": "secure_boot: true\n", "one": ""}
"""Who gets shim by UEFI; in the latter two w1 differs from the rest."""


def lab_of(network: str, more: str = "") -> Lab:
    return parse(f"name: room\nnetwork: {network}\n{more}{MACHINES}", file=Path("lab.yaml"))


ENGINE = {
    "plain": "kubernetes: {engine: none}\n",
    "peers": "peers: {rate: 200M}\n",
    "class-registry": "class_registry: {size: 20GiB}\n",
    "names-apart": "kubernetes: {source: debian, isolation: names}\n",
}
SHOW = {"full": None, **dict.fromkeys(ENGINE, ("nginx.conf", "class-registry.yaml"))}
SHOW["names-apart"] = ("unbound.conf", "names-gate.json")
"""Whose configurations a case shows; None: all. The others show dnsmasq's."""


@pytest.mark.parametrize("case", [*NETWORKS, *ENGINE])
def test_configurations(case: str) -> None:
    lab = lab_of(NETWORKS.get(case, NETWORKS["full"]), ENGINE.get(case, ""))
    host = usual_host(lab, Path("/var/lib/nodisk/labs/room"), Path("/var/lib/nodisk/assets/objects"))
    texts = configure(lab, host)
    assert ("etcd.yaml" in texts) is ("registry.yaml" in texts) is lab.has_cluster
    names = SHOW.get(case, ("dnsmasq.conf",))
    shown = {name: text for name, text in texts.items() if names is None or name in names}
    text = "".join(f"==== {name} ====\n{content}\n" for name, content in shown.items())
    golden = HERE / f"{case}.txt"
    if os.environ.get("NODISK_UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


def test_who_gets_shim() -> None:
    text = ""
    for (who, line), network in itertools.product(SECURE_BOOT.items(), ("full", "proxy")):
        lab = lab_of(NETWORKS[network], line)
        if who != "all":
            w1 = lab.machines[-1].model_copy(update={"secure_boot": not lab.secure_boot})
            lab = lab.model_copy(update={"machines": (*lab.machines[:-1], w1)})
        host = usual_host(lab, Path("/var/lib/nodisk/labs/room"), Path("/x"))
        plain = configure(lab_of(NETWORKS[network]), host)["dnsmasq.conf"].splitlines()
        changed = difflib.unified_diff(plain, configure(lab, host)["dnsmasq.conf"].splitlines(), n=0, lineterm="")
        text += f"==== {network}: {who} ====\n" + "".join(
            f"{line}\n" for line in changed if line[:2] not in {"--", "++", "@@"}
        )
    golden = HERE / "secure_boot.txt"
    if os.environ.get("NODISK_UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


def test_what_names_a_machine() -> None:
    lab = lab_of(NETWORKS["full"])
    texts = configure(lab, usual_host(lab, Path("/var/lib/nodisk/labs/room"), Path("/x")))
    text = "".join(show.daemons(machine, texts).partition("\n\n")[0] + "\n" for machine in lab.machines)
    golden = HERE / "naming.txt"
    if os.environ.get("NODISK_UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize(
    ("network", "wanted"),
    [
        ("{subnet: 10.77.0.0/24, server: 10.77.0.1}", ("10.77.0.22", "10.77.0.254")),
        ("{subnet: 10.77.0.0/24, server: 10.77.0.1, gateway: 10.77.0.100}", ("10.77.0.101", "10.77.0.254")),
        ("{subnet: 10.77.0.0/27, server: 10.77.0.30}", ("10.77.0.1", "10.77.0.10")),
    ],
)
def test_addresses_for_unknown_machines(network: str, wanted: tuple[str, str]) -> None:
    assert free_range(lab_of(network)) == tuple(map(IPv4Address, wanted))


def test_a_full_subnet_has_none() -> None:
    text = "name: room\nnetwork: {subnet: 10.77.0.0/28, server: 10.77.0.1}\nmachines:\n"
    for number in range(2, 15):
        role = "control-plane" if number == 2 else "worker"
        text += f"  - {{name: m{number}, mac: '52540000{number:04x}', address: 10.77.0.{number}, role: {role}}}\n"
    lab = parse(text, file=Path("lab.yaml"))
    assert free_range(lab) is None
    host = usual_host(lab, Path("/x"), Path("/y"))
    assert "dhcp-range=10.77.0.0,static,255.255.255.240,12h\n" in configure(lab, host)["dnsmasq.conf"]


@given(st.one_of(st.text(max_size=40), st.text("aZ09._+-/", max_size=40)).map(lambda text: Path("/", text)))
def test_a_state_directory_that_is_taken_stays_one_word(state: Path) -> None:
    """Whatever a daemon's file takes for the end of a word, none of it is in a path below an accepted directory."""
    try:
        check_path(state)
    except UsageError:
        assert re.search(r"[^A-Za-z0-9._/+-]", str(state))
        return
    lab, room = lab_of(NETWORKS["full"]), State(state).lab("room")
    texts = configure(lab, usual_host(lab, room.root, room.state.assets / "objects"))
    exports = [Export(1, room.storage / "k8s-1", "0" * 32)]
    texts["ganesha.conf"] = ganesha(lab, exports, root=room.storage / "root", recovery=room.storage)
    for name, text in texts.items():
        words = re.split(r"""[\s"';={}:,#]+""", text)
        assert any(word.startswith(str(room.root)) for word in words), name
        assert all(word.startswith(str(state)) for word in words if "/labs/room" in word), name


@pytest.mark.parametrize(
    "path", ['/a"b', "/a b", "/a;b", "/a$b", "/a#b", "/a\nb", "/a'b", "/a,b", "/żółw", "/a:b", "/a%b"]
)
def test_a_state_directory_that_would_break_a_file_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="can't be a state directory") as caught:
        check_path(Path(path))
    assert caught.value.hint == "choose another one with --state DIR"


def test_no_secret_and_no_other_address() -> None:
    lab = lab_of(NETWORKS["full"])
    for name, text in configure(lab, usual_host(lab, Path("/x"), Path("/y"))).items():
        assert "PRIVATE" not in text, name
        assert "0.0.0.0" not in text, name
