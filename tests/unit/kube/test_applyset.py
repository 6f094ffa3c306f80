"""ApplySets without an API server: ids, parents, who an object belongs to; and reading what lab.yaml names."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nodisk.errors import SpecError
from nodisk.kube import addon_sets, addons, applyset
from nodisk.kube.applyset import PART_OF, Member, Parent
from nodisk.spec.model_addons import Addon

WORD = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
KIND = st.from_regex(r"[A-Z][A-Za-z]{0,20}", fullmatch=True)
GROUP = st.just("") | st.lists(WORD, min_size=1, max_size=3).map(".".join)


def config_map(name: str, **meta: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **meta}}


def of_file(path: Path, data: bytes | None = None, sha256: str = "") -> Addon:
    if data is not None:
        path.write_bytes(data)
    return Addon.model_validate({"name": "x", "manifest": {"path": path, "sha256": sha256}})


@given(WORD, st.frozensets(st.tuples(KIND, GROUP)), st.frozensets(WORD), st.just("") | WORD)
def test_a_parent_is_read_as_it_was_written(
    name: str, kinds: frozenset[tuple[str, str]], spaces: frozenset[str], content: str
) -> None:
    wanted = Parent(name, kinds, spaces - {"kube-system"}, content)
    assert applyset.parse(wanted.object()) == wanted


def test_the_id_is_the_one_of_the_kep() -> None:
    digest = hashlib.sha256(b"nodisk-addon-web.kube-system.ConfigMap.").digest()
    wanted = "applyset-" + base64.urlsafe_b64encode(digest).decode().strip("=") + "-v1"
    assert Parent("web").id == wanted
    assert Parent("web").object()["metadata"]["labels"] == {"applyset.kubernetes.io/id": wanted}
    assert len(wanted) <= 63, "it is a label's value"


def test_the_parent_of_another_tool_is_not_ours() -> None:
    theirs = Parent("web").object()
    theirs["metadata"]["annotations"][applyset.TOOLING] = "kubectl/v1.30.0"
    assert applyset.parse(theirs) is None
    assert applyset.parse(config_map("web")) is None


def test_an_object_of_another_set_is_not_taken() -> None:
    there = config_map("web", labels={PART_OF: "applyset-other-v1"})
    with pytest.raises(ValueError, match="belongs to another ApplySet"):
        applyset.labelled(config_map("web"), there, Parent("web").id)


def test_labels_of_the_manifest_stay() -> None:
    made = applyset.labelled(config_map("web", labels={"app": "web"}), config_map("web"), "id")
    assert made["metadata"]["labels"] == {"app": "web", PART_OF: "id"}


@pytest.mark.parametrize("kind", ["Namespace", "CustomResourceDefinition"])
def test_what_was_there_before_and_holds_others_is_not_adopted(kind: str) -> None:
    item = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "web"}}
    assert applyset.labelled(item, item, "id") == item
    assert applyset.labelled(item, None, "id")["metadata"]["labels"] == {PART_OF: "id"}


def read_or_refused(data: bytes) -> list[dict[str, Any]]:
    """The objects of a text; none if it is refused as the user's mistake."""
    try:
        return list(addons.objects(data, Path("x.yaml")))
    except SpecError:
        return []


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_file_is_a_manifest_or_a_sentence(data: bytes) -> None:
    assert all(isinstance(applyset.identity(item), Member) for item in read_or_refused(data))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(st.fixed_dictionaries({}, optional={"apiVersion": _JSON, "kind": _JSON, "metadata": _JSON}), max_size=3)
)
def test_any_document_is_objects_with_names_or_a_sentence(documents: list[Any]) -> None:
    assert all(applyset.identity(item).name for item in read_or_refused(yaml.safe_dump_all(documents).encode()))


@given(WORD, st.dictionaries(WORD, st.text(st.characters(min_codepoint=32, max_codepoint=126)), max_size=5))
def test_objects_are_read_as_they_were_written(name: str, data: dict[str, str]) -> None:
    item = config_map(name) | {"data": data}
    text = yaml.safe_dump_all([item, None], default_style='"')
    assert list(addons.objects(text.encode(), Path("x.yaml"))) == [item]


def test_only_the_reviewed_file_is_read(tmp_path: Path) -> None:
    data = yaml.safe_dump(config_map("a")).encode()
    good = of_file(tmp_path / "x.yaml", data, hashlib.sha256(data).hexdigest())
    assert addon_sets.read(good) == [config_map("a")]
    (tmp_path / "x.yaml").write_bytes(data + b"# changed\n")
    with pytest.raises(SpecError, match=r"add-on x: .*x.yaml has the hash .* but lab.yaml says") as caught:
        addon_sets.read(good)
    assert "sha256" in str(caught.value.hint)


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    for name in ("20-b", "10-a"):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(config_map(name)))
    (tmp_path / "README.md").write_text("not a manifest")
    found = addon_sets.read(Addon.model_validate({"name": "x", "path": tmp_path}))
    assert [item["metadata"]["name"] for item in found] == ["10-a", "20-b"]


def test_a_missing_empty_or_doubled_manifest_is_named(tmp_path: Path) -> None:
    def refused(path: Path) -> str:
        with pytest.raises(SpecError) as caught:
            addon_sets.read(Addon.model_validate({"name": "x", "path": path}))
        return caught.value.message

    assert refused(tmp_path / "gone.yaml") == f"add-on x: {tmp_path}/gone.yaml: No such file or directory"
    assert refused(tmp_path) == f"add-on x: {tmp_path} contains no objects"
    (tmp_path / "a.yaml").write_text(yaml.safe_dump_all([config_map("a"), config_map("a")]))
    assert refused(tmp_path) == f"add-on x: {tmp_path} contains ConfigMap a twice"
