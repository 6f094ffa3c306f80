"""nodisk init: what it writes parses as it is, on any host, and it overwrites nothing."""

from __future__ import annotations

import contextlib
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.unit.spec.labs import KEY

from nodisk.commands.spec import init
from nodisk.errors import UsageError
from nodisk.spec.guess import EXAMPLE, Guess, from_ip, public_keys
from nodisk.spec.load import parse
from nodisk.spec.model import DhcpMode
from nodisk.spec.template import Seen, render
from nodisk.values import Mac, Name, Role


def link(
    name: str, *addresses: str, flags: tuple[str, ...] = ("UP", "BROADCAST"), scope: str = "global"
) -> dict[str, Any]:
    """As ``ip -json -4 address show`` prints a card."""
    info = [
        {"family": "inet", "local": text.split("/")[0], "prefixlen": int(text.split("/")[1]), "scope": scope}
        for text in addresses
    ]
    return {"ifname": name, "flags": list(flags), "addr_info": info}


LOOPBACK = link("lo", "127.0.0.1/8", flags=("UP", "LOOPBACK"), scope="host")


def test_the_card_with_the_default_route_is_taken() -> None:
    links = [LOOPBACK, link("docker0", "172.17.0.1/16"), link("enp3s0", "192.168.10.2/24")]
    routes = [{"dst": "default", "gateway": "192.168.10.1", "dev": "enp3s0"}]
    assert from_ip(links, routes) == Guess(
        IPv4Network("192.168.10.0/24"), IPv4Address("192.168.10.2"), "enp3s0", IPv4Address("192.168.10.1")
    )


@pytest.mark.parametrize(
    "links",
    [
        [],
        [LOOPBACK],
        [link("eth0", "10.0.0.1/24", flags=("BROADCAST",))],
        [link("ppp0", "10.0.0.1/32", flags=("UP", "POINTOPOINT"))],
        [link("eth0", "10.0.0.1/30")],
        [link("eth0", "169.254.1.1/16")],
        [link("eth0")],
    ],
)
def test_nothing_useful_gives_the_example(links: list[dict[str, Any]]) -> None:
    assert from_ip(links, []) == EXAMPLE
    read = parse(render(Name("room"), EXAMPLE), file="x")
    assert (read.network.interface, read.network.dhcp) == (None, DhcpMode.FULL)


@st.composite
def guesses(draw: st.DrawFn) -> Guess:
    prefix = draw(st.integers(8, 28))
    net = IPv4Network((draw(st.integers(0x01000000, 0xDFFFFFFF)), prefix), strict=False)
    assume(not net.is_loopback and not net.is_link_local and not net.is_multicast)
    offsets = st.integers(1, net.num_addresses - 2)
    server = net.network_address + draw(offsets)
    gateway = net.network_address + draw(offsets)
    card = draw(st.sampled_from(["eth0", "enp3s0", "null", "br-lab", "8021", "a@b"]))
    keys = draw(st.sampled_from([(), (KEY,), (KEY + ' \U0001f600 é \\ "', KEY)]))
    return Guess(net, server, card, gateway if gateway != server and draw(st.booleans()) else None, keys)


@given(guesses(), st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True))
@settings(max_examples=50, deadline=None)
def test_what_is_written_parses(guess: Guess, name: str) -> None:
    read = parse(render(Name.parse(name), guess), file="lab.yaml")
    assert (str(read.name), read.network.interface, read.ssh_keys) == (name, guess.interface, guess.ssh_keys)
    assert (read.network.subnet, read.network.server) == (guess.subnet, guess.server)
    # Beside a room's own DHCP server a second one would do harm: what was guessed from a real card joins it.
    assert read.network.dhcp is DhcpMode.PROXY
    assert len(read.machines) == 3


@given(
    guesses(),
    st.lists(
        st.integers(1, 2**40 - 1).map(lambda n: Mac(n << 8 | 2)).filter(lambda m: not m.value >> 40 & 1),
        min_size=1,
        max_size=40,
        unique=True,
    ),
    st.text(max_size=60),
    st.sampled_from(list(DhcpMode)),
)
@settings(max_examples=50, deadline=None)
def test_a_room_that_was_seen_parses(guess: Guess, macs: list[Mac], words: str, mode: DhcpMode) -> None:
    """Whatever was said on the wire, it stays a comment."""
    assert guess.interface
    taken = {guess.server + 1} if guess.server + 1 in guess.subnet else set()
    seen = Seen([(mac, words) for mac in macs], mode, words, taken)
    if guess.subnet.num_addresses - 5 < len(macs):
        with contextlib.suppress(UsageError):  # there may be just enough
            render(Name("room"), guess, seen)
        return
    text = render(Name("room"), guess, seen)
    read = parse(text, file="lab.yaml")
    assert [machine.mac for machine in read.machines] == macs
    assert [str(machine.name) for machine in read.machines] == ["cp1", *(f"w{n}" for n in range(1, len(macs)))]
    assert read.machines[0].role is Role.CONTROL_PLANE
    assert not {machine.address for machine in read.machines} & taken
    assert read.network.dhcp is mode


@pytest.mark.parametrize("name", ["2026", "112", "08", "1e3", "no", "null", "2026-01-01"])
def test_a_folder_s_name_stays_a_text(name: str, tmp_path: Path) -> None:
    """For every reader: nodisk's own, and the editors' and linters' that follow the YAML of their day."""
    (tmp_path / name).mkdir()
    file = tmp_path / name / "lab.yaml"
    assert CliRunner().invoke(init, [str(file)]).exit_code == 0
    assert str(parse(file.read_text(), file="x").name) == name
    assert yaml.safe_load(file.read_text())["name"] == name


@pytest.mark.parametrize("subnet", ["10.244.0.0/24", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"])
def test_ranges_step_aside(subnet: str) -> None:
    net = IPv4Network(subnet)
    read = parse(render(Name("room"), Guess(net, net.network_address + 1, "eth0")), file="x")
    assert not read.kubernetes.pods.overlaps(net)


def test_keys_in_the_home(tmp_path: Path) -> None:
    assert public_keys(tmp_path / "none") == ()
    (tmp_path / "id_ed25519.pub").write_text(KEY + "\n")
    (tmp_path / "id_dsa.pub").write_text("ssh-dss AAAA\n")
    (tmp_path / "id_ed25519").write_text("secret")
    assert public_keys(tmp_path) == (KEY,)


def test_nothing_is_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lab.yaml").write_text("mine\n")
    refused = CliRunner().invoke(init, [])
    assert isinstance(refused.exception, UsageError)
    assert "--force" in str(refused.exception.hint)
    assert Path("lab.yaml").read_text() == "mine\n"
    shown = CliRunner().invoke(init, ["--dry-run", "--name", "seven"])
    assert parse(shown.stdout, file="x").name == Name("seven")
    assert Path("lab.yaml").read_text() == "mine\n"
    assert CliRunner().invoke(init, ["--force", "--name", "seven"]).exit_code == 0
    assert parse(Path("lab.yaml").read_text(), file="x").name == Name("seven")


def test_names(tmp_path: Path) -> None:
    (tmp_path / "Room7").mkdir()
    assert CliRunner().invoke(init, [str(tmp_path / "Room7" / "lab.yaml")]).exit_code == 0
    assert parse((tmp_path / "Room7" / "lab.yaml").read_text(), file="x").name == Name("room7")
    (tmp_path / "my room").mkdir()
    assert CliRunner().invoke(init, [str(tmp_path / "my room" / "a.yaml")]).exit_code == 0
    assert parse((tmp_path / "my room" / "a.yaml").read_text(), file="x").name == Name("room")
    bad = CliRunner().invoke(init, [str(tmp_path / "b.yaml"), "--name", "A B"])
    assert isinstance(bad.exception, UsageError)
    assert not (tmp_path / "b.yaml").exists()


@pytest.mark.parametrize("words", [["--count", "3"], ["--control-plane", "2"], ["--yes"]])
def test_what_needs_from_room_says_so(tmp_path: Path, words: list[str]) -> None:
    with pytest.raises(UsageError, match="go with --from-room"):
        CliRunner().invoke(init, [str(tmp_path / "lab.yaml"), *words], catch_exceptions=False, standalone_mode=False)
    assert not (tmp_path / "lab.yaml").exists()


@pytest.mark.parametrize("text", ["w1", "0", "99999", "01:00:5e:00:00:01", ""])
def test_a_control_plane_that_is_none_is_refused_before_anybody_listens(tmp_path: Path, text: str) -> None:
    done = CliRunner().invoke(init, [str(tmp_path / "lab.yaml"), "--from-room", "--control-plane", text])
    assert done.exit_code == 2
    assert "neither a number of the list" in done.output
