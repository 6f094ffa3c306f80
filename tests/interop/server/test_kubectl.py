"""kubectl for students: the lab's server has it, and the sheet's first step fetches and checks it."""

from __future__ import annotations

import hashlib
import html
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.interop.server.rooms import Room
from tests.vm import sheet

from nodisk import run
from nodisk.assets import built
from nodisk.assets.store import Store
from nodisk.classes import handouts, plan, sizes
from nodisk.classes.roster import Person
from nodisk.context import LabContext
from nodisk.values import KubeVersion

pytestmark = pytest.mark.interop

PROGRAM = b"#!/bin/sh\necho this is kubectl\n" + b"#" * 100_000


@pytest.fixture
def with_kubectl(empty_room: Room) -> Room:
    """A room whose release brings a kubectl."""
    store = Store(empty_room.state.state)
    made = built.manifests(empty_room.state.state, empty_room.lab)
    with store.builder(), store.workspace() as work:
        program = work / "kubectl"
        program.write_bytes(PROGRAM)
        old = made["release"]
        content = {"kubectl": program}
        for ref in old.files:
            content[ref.name] = work / ref.name
            content[ref.name].write_bytes(store.path(ref).read_bytes())
        made["release"] = store.add(
            "release", name="test", version="1.20.2", inputs={"kubectl": 1}, content=content, facts=old.facts
        )
    built.record(empty_room.state.state, empty_room.lab, made, why="a test")
    empty_room.plug("student", "52:54:00:99:00:77", "10.99.0.77")
    empty_room.start()
    return empty_room


@pytest.mark.parametrize("language", handouts.LANGUAGES)
def test_the_first_step_of_the_sheet_works_as_typed(with_kubectl: Room, tmp_path: Path, language: str) -> None:
    room, where = with_kubectl, f"{with_kubectl.name}-student"
    now = datetime.now(UTC)
    found = plan.merge(
        None, [Person("Jan")], name="k8s", now=now, size=sizes.find("small"), role="edit", expires=now + timedelta(9)
    ).record
    context = LabContext(room.lab, room.lab_file, room.state, None)
    kubectl = handouts.where_kubectl(context, KubeVersion(1, 20, 2))
    digest = hashlib.sha256(PROGRAM).hexdigest()
    assert kubectl == handouts.Kubectl("http://10.99.0.1/kubectl", digest)
    text = handouts.renderer(found, kubectl, node="10.99.0.21")(found.students[0], language)
    first = sheet.steps(text)[0]
    done = sheet.follow([first, sheet.Step("use", "kubectl version")], tmp_path, netns=where)
    assert done[first.title].returncode == 0, done[first.title].stdout
    assert "kubectl: OK" in done[first.title].stdout
    assert done["use"].stdout == "this is kubectl\n"

    headers = run.run(["curl", "-sSIL", kubectl.url], netns=where).stdout.lower()
    assert headers.startswith("http/1.1 302")
    assert "http/1.1 200" in headers
    assert "content-type: application/octet-stream" in headers
    assert f"content-length: {len(PROGRAM)}" in headers
    # One that was altered on the way is noticed.
    lines = first.commands.replace("\ncurl -fL ", "\necho altered >>kubectl\ncurl -fL ", 1)
    broken = sheet.follow([sheet.Step("broken", lines.split("chmod")[0])], tmp_path, netns=where)["broken"]
    assert broken.returncode != 0
    assert "FAILED" in broken.stdout

    page = run.run(["curl", "-sSf", "http://10.99.0.1/"], netns=where).stdout
    assert "curl -fLo kubectl http://10.99.0.1/kubectl\n" in page
    assert "<h2>Windows</h2>" in page


def test_the_pages_linux_lines_work_as_typed(with_kubectl: Room, tmp_path: Path) -> None:
    """From the page as served to the key file in its place, in a plain sh that ends at the first failure."""
    where = f"{with_kubectl.name}-student"
    page = run.run(["curl", "-sSf", "http://10.99.0.1/"], netns=where).stdout
    section = page.split("<h2>Linux</h2>")[1].split("<h2>")[0]
    lines = html.unescape("\n".join(re.findall(r"<pre>(.*?)</pre>", section, re.DOTALL)))
    home, work = tmp_path / "home", tmp_path / "down loads"
    home.mkdir()
    work.mkdir()
    (work / "jan.kubeconfig").write_text("key\n")
    words = ["sh", "-e", "-c", lines.replace("NAME", "jan")]
    done = run.run(words, cwd=work, env={"HOME": str(home)}, netns=where, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "kubectl: OK\nthis is kubectl\n"
    key = home / ".kube" / "config"
    assert (key.read_text(), key.stat().st_mode & 0o777) == ("key\n", 0o600)
