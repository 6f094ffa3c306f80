"""A virtual lab's server follows lab.yaml and the store; real daemons in the lab's own namespace, no machines."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.interop.server.rooms import LAB, make_store
from tests.support.waits import LONG

from nodisk import run
from nodisk.assets import built
from nodisk.cli import nodisk
from nodisk.errors import NodiskError
from nodisk.machines.virtual import Virtual
from nodisk.records import running
from nodisk.spec.load import load
from nodisk.state import State

pytestmark = [
    pytest.mark.interop,
    # The server outlives the command that starts it, which is this process here.
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]
W2 = "  - {name: w2, mac: '525400990022', address: 10.99.0.22}\n"


class Rig:
    """A lab.yaml that is edited, and ``lab up`` without machines."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "lab.yaml"
        self.file.write_text(LAB.format(dhcp="full").replace("name: test\n", f"name: test-{os.getpid()}\n"))
        self.state = State(folder / "state")
        make_store(self.state, load(self.file))

    def virtual(self) -> Virtual:
        lab = load(self.file)
        return Virtual(lab, self.file, self.state.lab(str(lab.name)))

    def up(self) -> str:
        said: list[str] = []
        self.virtual().start(said.append)
        return "\n".join(said)

    def script(self, mac: str) -> str:
        segment = self.virtual().segment
        words = ["curl", "-sS", "--max-time", f"{LONG:g}", f"http://{segment.server.ip}/boot/{mac}.ipxe"]
        return run.run(words, netns=segment.netns).stdout


@pytest.fixture
def rig() -> Iterator[Rig]:
    # nginx' unprivileged user has to get at it, which pytest's own folders do not let it.
    with tempfile.TemporaryDirectory(prefix="nodisk-test-") as name:
        Path(name).chmod(0o755)
        made = Rig(Path(name))
        first = made.virtual()
        yield made
        first.down(lambda _: None)


def test_up_again_takes_over_what_changed(rig: Rig) -> None:
    assert "server in it" in rig.up()
    state, pid = rig.virtual().state, running.process(rig.virtual().state)
    before = running.ready(state)
    assert rig.up() == "", "nothing changed, so nothing is disturbed"
    assert running.ready(state) == before

    rig.file.write_text(rig.file.read_text() + W2)
    assert "server loaded the changes" in rig.up()
    assert "w2 (worker" in rig.script("52-54-00-99-00-22")
    assert rig.up() == ""

    old = rig.script("52-54-00-99-00-21")
    make_store(rig.state, load(rig.file))  # another image: as `nodisk build --refresh` leaves it
    assert running.is_stale(state, built.fingerprint(state, load(rig.file)))
    assert "or the build" in rig.up()
    assert not running.is_stale(state, built.fingerprint(state, load(rig.file)))
    new = rig.script("52-54-00-99-00-21")
    assert [word for word in old.split() if "nodisk.sha256=" in word] != [
        word for word in new.split() if "nodisk.sha256=" in word
    ]
    assert running.process(rig.virtual().state) == pid, "the same process went on"


def test_what_up_made_can_be_purged_also_later(rig: Rig) -> None:
    rig.up()
    state = rig.virtual().state
    assert rig.virtual().down(lambda _: None)
    assert not state.run.exists()
    assert (state.etcd / "member").exists()
    assert not rig.virtual().down(lambda _: None), "nothing runs: there is nothing to do"
    assert rig.virtual().down(lambda _: None, purge=True)
    assert not state.root.exists()


def test_down_by_name_where_lab_yaml_is_gone(rig: Rig) -> None:
    rig.up()
    virtual = rig.virtual()
    rig.file.unlink()
    words = ["lab", "down", "--state", str(rig.state.root), "--name", virtual.state.name]
    shown = CliRunner().invoke(nodisk, [*words, "--dry-run"])
    assert f"would stop it (pid {running.process(virtual.state)})" in shown.output
    assert virtual.segment.exists()
    done = CliRunner().invoke(nodisk, words)
    assert done.exit_code == 0, done.output
    assert f"the lab {virtual.state.name} is down" in done.stderr
    assert not virtual.segment.exists()
    assert running.process(virtual.state) is None
    assert (virtual.state.etcd / "member").exists()
    assert CliRunner().invoke(nodisk, [*words, "--purge"]).exit_code == 0
    assert not virtual.state.root.exists()


def test_what_the_server_refuses_is_said(rig: Rig) -> None:
    rig.up()
    good = rig.file.read_text()
    rig.file.write_text(good.replace("10.99.0.1\n", "10.99.0.2\n"))
    services, state = rig.virtual().services, rig.virtual().state
    # Without the namespace's new address, as a server in a real room would meet it.
    with pytest.raises(NodiskError, match="did not load the changes") as caught:
        services.update_server(built.fingerprint(state, load(rig.file)))
    assert "no network interface of this host has the address 10.99.0.2" in caught.value.message
    rig.file.write_text(good)
    assert rig.up() == "", "it goes on with what it had, which is what the file says again"
