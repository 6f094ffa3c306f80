"""The store: what is visible is whole, whatever happened before."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nodisk.assets.hashes import key_of, sha256_of, tree_hash
from nodisk.assets.store import Manifest, Store, disk_errors
from nodisk.errors import Busy, EnvironmentProblem, IntegrityError
from nodisk.state import State

INPUTS = {"recipe": 1, "version": "1.2.3"}


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state")


def add(store: Store, content: dict[str, bytes], inputs: dict[str, object] = INPUTS, *, x: bool = False) -> Manifest:
    with store.workspace() as folder:
        paths = {}
        for name, data in content.items():
            paths[name] = folder / name
            paths[name].write_bytes(data)
            paths[name].chmod(0o755 if x else 0o600)
        return store.add("image", name="n", version="1", inputs=inputs, content=paths, facts={"k": 1})


def test_an_asset_is_found_again_by_its_inputs(state: State) -> None:
    store = Store(state)
    made = add(store, {"a": b"alpha", "b": b"beta"})
    found = Store(state).find("image", key_of(INPUTS))
    assert found == made
    assert [ref.size for ref in made.files] == [5, 4]
    assert store.path(made.file("a")).read_bytes() == b"alpha"
    assert store.find("image", key_of({**INPUTS, "recipe": 2})) is None
    assert store.find("release", key_of(INPUTS)) is None


def test_objects_are_where_nginx_serves_them_readable_and_immutable(state: State) -> None:
    made = add(Store(state), {"root.squashfs": b"x"})
    ref = made.file("root.squashfs")
    path = state.assets / "objects" / ref.sha256 / "root.squashfs"
    assert ref.url_path == f"/assets/{ref.sha256}/root.squashfs"
    assert ref.sha256 == sha256_of(path)
    assert path.stat().st_mode & 0o777 == 0o444
    assert path.parent.stat().st_mode & 0o777 == 0o755
    assert (state.assets / "objects").stat().st_mode & 0o777 == 0o755


def test_programs_keep_their_x_bit_in_a_tree(state: State) -> None:
    store = Store(state)
    made = add(store, {"kubectl": b"#!/bin/sh\necho hi\n", "image.tar": b"t"}, x=True)
    folder = store.tree(made, ["kubectl"])
    assert subprocess.run([folder / "kubectl"], capture_output=True, check=True).stdout == b"hi\n"
    assert [path.name for path in folder.iterdir()] == ["kubectl"]
    assert store.tree(made, ["kubectl"]) == folder
    assert not list(folder.parent.glob(".new*"))


def test_a_tree_that_lost_a_program_is_made_again(state: State) -> None:
    store = Store(state)
    made = add(store, {"kubectl": b"k", "kubelet": b"l"})
    folder = store.tree(made, ["kubectl", "kubelet"])
    (folder / "kubelet").unlink()
    assert (store.tree(made, ["kubectl", "kubelet"]) / "kubelet").read_bytes() == b"l"


def test_an_asset_with_a_lost_or_short_file_counts_as_absent(state: State) -> None:
    store = Store(state)
    made = add(store, {"a": b"alpha"})
    path = store.path(made.file("a"))
    path.chmod(0o644)
    path.write_bytes(b"alp")
    assert store.find("image", made.key) is None
    assert store.damage(made) == ["a: has 3 bytes, should have 5"]
    path.unlink()
    assert store.damage(made) == ["a: missing"]
    assert add(store, {"a": b"alpha"}) == store.find("image", made.key)


def test_altered_content_is_found_by_its_hash_and_replaced_by_the_next_build(state: State) -> None:
    store = Store(state)
    made = add(store, {"a": b"alpha"})
    path = store.path(made.file("a"))
    path.chmod(0o644)
    path.write_bytes(b"alphA")
    (problem,) = store.damage(made)
    assert problem.startswith("a: content has hash ")
    add(store, {"a": b"alpha"})
    assert store.damage(made) == []


def test_a_manifest_that_is_no_manifest_says_which_file_to_remove(state: State) -> None:
    store = Store(state)
    made = add(store, {"a": b"1"})
    path = state.assets / "manifests" / f"{made.id}.json"
    path.write_text("{")
    with pytest.raises(IntegrityError, match=str(path)) as caught:
        store.find("image", made.key)
    assert caught.value.hint is not None
    assert str(path) in caught.value.hint
    assert store.manifests() == []


def test_equal_content_under_two_names_is_served_under_both(state: State) -> None:
    store = Store(state)
    made = add(store, {"a": b"same", "b": b"same"})
    assert store.path(made.file("a")).read_bytes() == store.path(made.file("b")).read_bytes() == b"same"


def test_two_builders_at_once_are_refused_with_the_holders_number(state: State) -> None:
    with Store(state).builder(), pytest.raises(Busy, match=f"process {os.getpid()}"), Store(state).builder():
        pass


def test_a_look_at_a_store_that_is_being_written_is_refused_and_makes_no_file(state: State) -> None:
    before = sorted(state.root.rglob("*"))
    with Store(state).at_rest():
        assert sorted(state.root.rglob("*")) == before
    with Store(state).builder(), pytest.raises(Busy, match=f"process {os.getpid()}"), Store(state).at_rest():
        pass


def test_a_builder_clears_what_a_killed_one_left(state: State) -> None:
    left = state.assets / "tmp" / "tmpabc"
    left.mkdir(parents=True)
    with Store(state).builder():
        assert not left.exists()


def test_a_full_disk_is_told_with_its_place_and_leaves_no_asset(state: State) -> None:
    with pytest.raises(EnvironmentProblem, match="is full") as caught, disk_errors(state.assets):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.hint is not None
    with pytest.raises(PermissionError), disk_errors(state.assets):
        raise PermissionError(errno.EACCES, "no")


def test_garbage_is_what_no_kept_asset_uses(state: State) -> None:
    store = Store(state)
    kept, lost = add(store, {"a": b"1", "c": b"3"}), add(store, {"b": b"2", "c": b"3"}, {"recipe": 9})
    store.tree(lost, ["b"])
    paths = store.garbage([kept])
    assert [path.name for path in paths] == [lost.file("b").sha256, lost.key]


def test_tree_hash_sees_names_contents_modes_and_links(tmp_path: Path) -> None:
    root = tmp_path / "t"
    (root / "d").mkdir(parents=True)
    (root / "d" / "f").write_text("x")
    seen = {tree_hash(root)}
    (root / "d" / "f").chmod(0o755)
    seen.add(tree_hash(root))
    (root / "d" / "f").write_text("y")
    seen.add(tree_hash(root))
    (root / "d" / "f").rename(root / "d" / "g")
    seen.add(tree_hash(root))
    (root / "l").symlink_to("d/g")
    seen.add(tree_hash(root))
    assert len(seen) == 5
    (root / "__pycache__").mkdir()
    (root / "__pycache__" / "m.pyc").write_text("")
    assert tree_hash(root) in seen
    assert tree_hash(root / "d" / "g") != tree_hash(root / "l")


CHILD = """
import os, sys
from pathlib import Path
from nodisk.assets.store import Store
from nodisk.state import State

store = Store(State(Path(sys.argv[1])))
with store.builder():
    print("go", flush=True)
    for number in range(10_000):
        with store.workspace() as folder:
            content = {}
            for name in ("vmlinuz", "root.squashfs"):
                content[name] = folder / name
                content[name].write_bytes(os.urandom(300_000))
            made = store.add("image", name="n", version="1", inputs={"n": number % 7}, content=content, facts={})
            store.tree(made, ["vmlinuz"])
"""


def test_killed_at_any_moment_the_store_holds_only_whole_assets(state: State) -> None:
    dice = random.Random(20)  # noqa: S311 - moments, not secrets
    seen = 0
    for kills in range(200):
        if kills >= 8 and seen > 10:  # a child that gets little of a busy processor makes few assets before its end
            break
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(state.root)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        assert child.stdout.readline() == b"go\n"
        time.sleep(dice.uniform(0, 0.15))
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        store = Store(state)
        for path in store.manifest_files():
            seen += 1
            manifest = Manifest.from_json(json.loads(path.read_text()))
            assert store.damage(manifest) == []
    with Store(state).builder():  # the dead builder's lock is gone, its work too
        assert not (state.assets / "tmp").exists()
    assert seen > 10
