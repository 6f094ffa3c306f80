"""What is to be pasted into a room's DHCP server: its form for any lab, and the command that prints it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.rooms_dhcp import rooms
from tests.unit.spec.labs import TEN_LINES

from nodisk.commands.dhcp_snippet import dhcp_snippet
from nodisk.errors import UsageError
from nodisk.plan import dhcp_snippets_others as others
from nodisk.plan.dhcp_answers import Room
from nodisk.plan.dhcp_snippets import RUN, Server, snippet


@given(rooms())
@settings(max_examples=200)
def test_keas_is_json_that_names_every_machine_or_none(room: Room) -> None:
    text = snippet(room, Server.KEA)
    body = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    if not room.answers and not room.reservations:
        assert not body.strip()
        return
    dhcp4: dict[str, Any] = json.loads(body)["Dhcp4"]
    [subnet] = dhcp4["subnet4"]
    assert subnet["subnet"] == str(room.lab.network.subnet)
    reserved = {one["hw-address"]: (one["ip-address"], one["hostname"]) for one in subnet.get("reservations", [])}
    machines = room.lab.machines if room.reservations else ()
    assert reserved == {str(one.mac): (str(one.address), str(one.name)) for one in machines}
    classes = dhcp4.get("client-classes", [])
    assert [one["name"] for one in classes] == subnet.get("require-client-classes", [])
    assert bool(classes) == bool(room.answers)


@given(rooms(), st.sampled_from(list(Server)))
@settings(max_examples=200)
def test_what_every_snippet_says(room: Room, server: Server) -> None:
    text = snippet(room, server)
    assert text.endswith("\n")
    assert text.replace("\n", "").isprintable()
    pasted = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    assert ("NOT RUN" in text) == (server not in RUN and bool(pasted.strip()))
    for machine in room.lab.machines:
        assert bool(re.search(rf"(?<![\d.]){re.escape(str(machine.address))}(?![\d.])", pasted)) == room.reservations
    for answer in room.answers:
        by_hand = server in others.NO_EXCEPTIONS and answer.only
        assert answer.file in (text if by_hand else pasted)
        for mac in answer.only:
            assert any(form in (text if by_hand else pasted) for form in (str(mac), f"{mac.value:012x}"))
    assert (room.script in pasted) == bool(room.answers)


def run(tmp_path: Path, dhcp: str, *words: str) -> Result:
    lab = tmp_path / "lab.yaml"
    lab.write_text(TEN_LINES.replace("10.77.0.1}", f"10.77.0.1, dhcp: {dhcp}}}"))
    argv = [*words, "--lab", str(lab), "--state", str(tmp_path / "state")]
    return CliRunner().invoke(dhcp_snippet, argv)


def test_the_command(tmp_path: Path) -> None:
    plain = run(tmp_path, "none", "isc")
    assert plain.exit_code == 0
    assert 'filename "http://10.77.0.1/boot.ipxe";' in plain.stdout
    assert "10.77.0.11" not in plain.stdout
    reserved = run(tmp_path, "none", "isc", "--reservations")
    assert "fixed-address 10.77.0.11;" in reserved.stdout
    found = json.loads(run(tmp_path, "none", "windows", "-o", "json").stdout)
    assert (found["server"], found["dhcp"], found["run"]) == ("windows", "none", False)
    assert "NOT RUN" in found["text"]
    assert run(tmp_path, "none", "bootp").exit_code == 2


def test_full_dhcp_has_no_snippet(tmp_path: Path) -> None:
    done = run(tmp_path, "full", "kea")
    assert isinstance(done.exception, UsageError)
    assert "nothing to paste" in done.exception.message


@pytest.mark.parametrize("server", list(Server))
def test_proxy_needs_nothing(tmp_path: Path, server: Server) -> None:
    done = run(tmp_path, "proxy", str(server))
    assert all(line.startswith("#") for line in done.stdout.splitlines())
    assert "Nothing to paste" in done.stdout
