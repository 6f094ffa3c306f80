"""The printed sheet's commands: shell that is whole, the same in both languages, with manifests that are right."""

import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from tests.unit.spec.labs import TEN_LINES
from tests.vm import sheet

from nodisk.assets.container_images import ECHO
from nodisk.classes import handouts, manifests, plan, record, sizes
from nodisk.classes.roster import Person
from nodisk.context import LabContext
from nodisk.spec.load import load
from nodisk.state import State

KUBECTL = handouts.Kubectl("http://10.77.0.1/kubectl", "0" * 64)


def steps(language: str, role: str, size: str, storage: str | None) -> list[sheet.Step]:
    found: record.Class = plan.merge(
        None,
        [Person("Żółć Gęślą")],
        name="k8s",
        now=datetime(2026, 11, 1, tzinfo=UTC),
        size=sizes.find(size),
        role=role,
        storage=storage,
    ).record
    return sheet.steps(handouts.renderer(found, KUBECTL, node="10.77.0.21")(found.students[0], language))


@pytest.mark.parametrize("storage", [None, "2Gi"])
@pytest.mark.parametrize("role", ["edit", "admin", "view"])
def test_commands_are_shell_and_the_same_in_both_languages(role: str, storage: str | None) -> None:
    found = steps("en", role, "small", storage)
    assert [step.commands for step in found] == [step.commands for step in steps("pl", role, "small", storage)]
    script = "\n".join(step.commands for step in found)
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    assert len(found) == (4 if role == "view" else 7 if storage else 6)
    assert ("claimName" in script) == (storage is not None and role != "view")


def test_the_pod_that_keeps_files_is_a_manifest() -> None:
    script = next(step.commands for step in steps("pl", "edit", "small", "2Gi") if "<<END" in step.commands)
    text = re.search(r"<<END\n(.*?)\nEND\n", script, re.S)
    assert text is not None
    pod = yaml.safe_load(text[1])
    assert pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == manifests.CLAIM
    assert pod["spec"]["containers"][0]["image"] == ECHO


@pytest.mark.parametrize("language", handouts.LANGUAGES)
def test_the_door_is_on_the_sheet_where_there_is_one_and_no_code(language: str) -> None:
    found = plan.merge(
        None, [Person("Jan")], name="k8s", now=datetime(2026, 11, 1, tzinfo=UTC), size=sizes.find("small"), role="edit"
    ).record
    address = "https://10.77.0.1:6445/door/k8s"
    with_door, without = (
        handouts.renderer(found, KUBECTL, node="10.77.0.21", door=door)(found.students[0], language)
        for door in (address, None)
    )
    assert f"{address} (jan;" in with_door
    assert "/door/" not in without
    assert sheet.steps(with_door) == sheet.steps(without)


@pytest.mark.parametrize(
    ("console", "door", "netns", "address"),
    [
        ("{listen: lab, port: 8443}", True, None, "https://10.77.0.1:8443/door/k8s"),
        ("{listen: lab}", False, None, None),
        ("{listen: loopback}", True, None, None),
        ("{listen: lab}", True, "nodisk-room", None),
    ],
)
def test_the_door_s_address_is_one_that_students_reach(
    tmp_path: Path, console: str, door: bool, netns: str | None, address: str | None
) -> None:
    (tmp_path / "lab.yaml").write_text(f"{TEN_LINES}console: {console}\n")
    context = LabContext(load(tmp_path / "lab.yaml"), tmp_path / "lab.yaml", State(tmp_path).lab("room"), netns)
    found = plan.merge(
        None, [Person("Jan")], name="k8s", now=datetime(2026, 11, 1, tzinfo=UTC), size=sizes.find("small"), role="edit",
        door=door,
    ).record  # fmt: skip
    assert handouts.door_on_paper(context, found) == address
