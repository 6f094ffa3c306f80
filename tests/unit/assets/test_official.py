"""The variables that name mirrors: what is no web server is refused before anything is asked."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.assets.official import Upstream, variable
from nodisk.errors import EnvironmentProblem

NAMES = [place.name for place in fields(Upstream)]


def test_without_variables_the_publishers_are_asked() -> None:
    assert Upstream.from_environment({"NODISK_UPSTREAM_ETCD": " "}) == Upstream()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("https://mirror.example", "https://mirror.example"),
        ("http://10.0.0.5:8080/k8s/", "http://10.0.0.5:8080/k8s"),
        ("https://[2001:db8::1]:444/x", "https://[2001:db8::1]:444/x"),
    ],
)
def test_a_mirror_is_taken(name: str, value: str, kept: str) -> None:
    assert getattr(Upstream.from_environment({variable(name): value}), name) == kept


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("mirror:5000", "=https://mirror:5000"),
        ("mirror.example/k8s", "=https://mirror.example/k8s"),
        ("file:///srv/mirror", "`path`"),
        ("docker://mirror:5000", "web server"),
        ("https://", "https://HOST"),
        ("http://[::1", "https://HOST"),
        ("http://x:port/", "https://HOST"),
        ("http://x:99999/", "https://HOST"),
        ("http://x y/", "https://HOST"),
        ("http://x/?a=b", "https://HOST"),
    ],
)
def test_what_is_none_is_named_with_its_variable(name: str, value: str, hint: str) -> None:
    with pytest.raises(EnvironmentProblem, match="not a web server URL") as caught:
        Upstream.from_environment({variable(name): value})
    assert variable(name) in caught.value.message
    assert hint in str(caught.value.hint)


def test_a_password_for_the_registry_is_refused_and_not_told() -> None:
    with pytest.raises(EnvironmentProblem, match="name and a password") as caught:
        Upstream.from_environment({"NODISK_UPSTREAM_REGISTRY": "https://me:secret@mirror.example"})
    assert "secret" not in f"{caught.value.message} {caught.value.hint}"
    own = Upstream.from_environment({"NODISK_UPSTREAM_KUBERNETES": "https://me:secret@mirror.example"})
    assert own.kubernetes == "https://me:secret@mirror.example"


@given(st.text(max_size=40))
def test_any_text_is_taken_or_refused(text: str) -> None:
    try:
        found = Upstream.from_environment({"NODISK_UPSTREAM_REGISTRY": text})
    except EnvironmentProblem:
        return
    assert found.registry.startswith(("http://", "https://"))
