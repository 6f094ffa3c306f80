"""What ``nodisk render`` shows of an Ignition config: all of it, unpacked."""

from __future__ import annotations

import base64
import copy
import gzip
from collections.abc import Iterator
from itertools import count
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodisk.butane import translate
from nodisk.butane.compiled import ignition_schema
from nodisk.butane.schema import CField, CStruct
from nodisk.plan import readable as module
from nodisk.plan.readable import readable

Step = tuple[str | int, ...]


def packed(text: str, how: str) -> dict[str, Any]:
    """A resource that holds ``text``."""
    data = text.encode()
    if how == "gzip":
        return {"source": f"data:;base64,{base64.b64encode(gzip.compress(data)).decode()}", "compression": "gzip"}
    if how == "base64":
        return {"source": f"data:text/plain;charset=utf-8;base64,{base64.b64encode(data).decode()}", "compression": ""}
    return {"source": f"data:,{quote(text)}"} if how == "plain" else {"source": f"http://{text}/"}


@st.composite
def configs(draw: st.DrawFn, spec: int) -> dict[str, Any]:
    """Any Ignition config of that spec; each text and number in it is there once."""
    numbers = count(1000)

    def value(kind: Any, item: Any) -> Any:
        if kind == "list":
            one = ("map", item) if isinstance(item, CStruct) else (item, None)
            return [value(*one) for _ in range(draw(st.integers(0, 2)))]
        if kind == "map":
            return struct(item)
        if kind == "boolean":
            return draw(st.booleans())
        return next(numbers) if kind in ("integer", "unsigned") else f"text{next(numbers)}"

    def struct(of: CStruct) -> dict[str, Any]:
        found = {str(field.json): value(field.kind, field.item) for field in of.fields if chosen(field)}
        if "source" in found:
            found.pop("compression", None)
            found |= packed(found["source"], draw(st.sampled_from(["plain", "base64", "gzip", "http"])))
        return found

    def chosen(field: CField) -> bool:
        return field.json is not None and (field.required or draw(st.integers(0, 3)) > 0)

    return struct(ignition_schema(spec))


def leaves(value: Any, path: Step = ()) -> Iterator[tuple[Step, Any]]:
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*path, key))
    else:
        yield path, value


def changed(config: dict[str, Any], path: Step, leaf: Any) -> dict[str, Any]:
    """The config with another value in one place."""
    other = copy.deepcopy(config)
    holder: Any = other
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = (not leaf) if isinstance(leaf, bool) else leaf + 1 if isinstance(leaf, int) else f"other{leaf}"
    return other


@pytest.mark.parametrize("spec", [3, 6])
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_no_value_is_missing(spec: int, data: st.DataObject) -> None:
    config = data.draw(configs(spec))
    shown = readable(config)
    for path, leaf in leaves(config):
        where = "/".join(map(str, path))
        if path[-1] == "source":
            text = leaf[7:-1] if leaf.startswith("http") else unpacked(config, path)
            assert text in shown, where
        elif path[-1] == "compression":
            assert leaf == "" or leaf in shown, where
        elif path[-1] == "mode":
            assert f"{leaf:04o}" in shown, where
        elif not isinstance(leaf, bool):
            assert str(leaf) in shown, where
        if path[-1] not in ("source", "compression"):
            assert readable(changed(config, path, leaf)) != shown, f"{where} may change unseen"


def unpacked(config: dict[str, Any], path: Step) -> str:
    holder: Any = config
    for step in path[:-1]:
        holder = holder[step]
    head, _, body = holder["source"].partition(",")
    if ";base64" not in head:
        return str(body)
    raw = base64.b64decode(body)
    return (gzip.decompress(raw) if holder.get("compression") == "gzip" else raw).decode()


SNIPPET = """\
variant: fcos
version: 1.4.0
passwd:
  groups: [{name: lab, gid: 2000}]
storage:
  directories: [{path: /srv/data, mode: 0777}]
  links:
    - {path: /etc/localtime, target: ../usr/share/zoneinfo/Europe/Warsaw}
    - {path: /opt/b, target: /opt/a, hard: true}
  files:
    - path: /etc/motd
      user: {name: root}
      contents:
        inline: |
          Welcome to room B12. Welcome to room B12. Welcome to room B12.
          Be quiet. Be quiet. Be quiet. Be quiet. Be quiet. Be quiet.
    - path: /etc/bash.bashrc
      append: [{inline: "alias k=kubectl\\n"}]
    - path: /etc/empty
systemd:
  units:
    - {name: containerd.service, mask: true}
    - {name: off.service, enabled: false, contents: "[Service]\\n"}
"""

SHOWN = """\
===== ignition
version: 3.3.0

===== group lab
gid: 2000

===== directory /srv/data (mode 0777)

===== file /etc/motd (mode 0644)
user.name: root
(compressed by gzip, shown unpacked)
Welcome to room B12. Welcome to room B12. Welcome to room B12.
Be quiet. Be quiet. Be quiet. Be quiet. Be quiet. Be quiet.

===== file /etc/bash.bashrc (mode 0644)
--- appended
alias k=kubectl

===== file /etc/empty (mode 0644)
(no contents: what is there stays; if nothing is, an empty file)

===== link /etc/localtime → ../usr/share/zoneinfo/Europe/Warsaw

===== hard link /opt/b → /opt/a

===== unit containerd.service (masked: it can't be started)
(as the image has it)

===== unit off.service (disabled)
[Service]

"""


def test_a_snippet_as_people_read_it() -> None:
    result = translate(SNIPPET, strict=True)
    assert result.ignition is not None
    assert readable(result.ignition) == SHOWN


def file(resource: dict[str, Any]) -> str:
    return readable({"storage": {"files": [{"path": "/f", "contents": resource}]}}).split("\n", 1)[1]


def test_what_a_terminal_would_act_on_is_escaped() -> None:
    assert file(packed("a\x1b[31mb\r\n", "plain")) == "a\\x1b[31mb\\r\n\n"
    assert file(packed("no newline", "plain")) == "no newline\n(no newline at the end)\n\n"
    assert file(packed("", "plain")) == "(empty)\n\n"
    assert readable({"passwd": {"users": [{"name": "a\n===== b"}]}}).startswith('===== user "a\\n===== b"\n')


def test_what_is_no_text_is_base64() -> None:
    shown = file({"source": f"data:;base64,{base64.b64encode(bytes(range(256))).decode()}"})
    assert shown.startswith("(256 bytes that are no text, shown as base64)\nAAECAw")
    assert base64.b64decode(shown.split("\n", 1)[1]) == bytes(range(256))


@pytest.mark.parametrize(
    "resource",
    [
        {"source": "data:;base64,bm8gZ3ppcA==", "compression": "gzip"},
        {"source": "data:;base64,!!!"},
        {"source": "data:nonsense"},
        {"source": "data:,x", "compression": "zstd"},
    ],
)
def test_what_can_not_be_unpacked_is_shown_as_it_is(resource: dict[str, Any]) -> None:
    shown = file(resource)
    for key, value in resource.items():
        assert f"{key}: {value}\n" in shown


def test_a_bomb_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 1 << 20)
    shown = file(packed("x" * (3 << 20), "gzip"))
    assert len(shown) < 2 << 20
    assert "(longer than 1 MiB: cut)\n" in shown


def test_a_key_of_a_later_spec_is_shown() -> None:
    config = {"storage": {"quotas": [{"path": "/srv", "mib": 7}]}, "firmware": {"logo": "cat"}, "systemd": {"x": True}}
    shown = readable(config)
    for line in ("quotas:\n  - mib: 7\n    path: /srv\n", "firmware.logo: cat\n", "x: true\n"):
        assert line in shown
