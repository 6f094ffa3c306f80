"""Names of container images, as runtimes read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.image_name import DIGEST, TAG, ImageName

HEX = "0123456789abcdef" * 4
HOST = st.sampled_from(["", "docker.io/", "ghcr.io/", "localhost/", "10.0.0.1:5000/", "Registry.Example:443/"])
PATH = st.from_regex(r"[a-z0-9]{1,8}([._-][a-z0-9]{1,4})?(/[a-z0-9]{1,8}){0,3}", fullmatch=True)
NAMED = st.builds(
    "".join,
    st.tuples(
        HOST,
        PATH,
        st.one_of(st.just(""), st.from_regex(f":{TAG}", fullmatch=True)),
        st.one_of(st.just(""), st.from_regex(f"@{DIGEST}", fullmatch=True)),
    ),
)


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.29", "docker.io/library/nginx:1.29"),
        ("grafana/grafana", "docker.io/grafana/grafana:latest"),
        ("localhost/x:1", "localhost/x:1"),
        ("10.0.0.1:5000/a/b", "10.0.0.1:5000/a/b:latest"),
        (f"ghcr.io/a/b@sha256:{HEX}", f"ghcr.io/a/b@sha256:{HEX}"),
        (f"ghcr.io/a/b:v1@sha256:{HEX}", f"ghcr.io/a/b:v1@sha256:{HEX}"),
    ],
)
def test_the_whole_name(text: str, whole: str) -> None:
    assert str(ImageName.parse(text)) == whole
    assert ImageName.parse(whole) == ImageName.parse(text)


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("nginx:1.29", "nginx"),
        ("docker.io/library/nginx", "nginx"),
        ("docker.io/grafana/grafana:1", "grafana/grafana"),
        (f"localhost/library/x@sha256:{HEX}", "localhost/library/x"),
        ("ghcr.io/a/b", "ghcr.io/a/b"),
    ],
)
def test_the_short_name(text: str, short: str) -> None:
    assert ImageName.parse(text).short == short


@pytest.mark.parametrize(
    "text",
    [
        *("", ":v1", "A/b", "a b", "a//b", "a/", "https://ghcr.io/a:1", "a@sha256:12", "a:1:2", "a/b:", "a\n", "-a"),
        f"a@sha512:{HEX}{HEX}",
        f"a@sha256:{HEX.upper()}",
        "a" * 600,
        "$(touch x)",
        "--help",
    ],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a container image"):
        ImageName.parse(text)


@given(NAMED)
def test_a_name_is_read_as_it_is_written(text: str) -> None:
    name = ImageName.parse(text)
    assert ImageName.parse(str(name)) == name
    pinned = ImageName.parse(name.at(f"sha256:{HEX}"))
    assert (pinned.host, pinned.path, pinned.tag, pinned.digest) == (name.host, name.path, name.tag, f"sha256:{HEX}")


@given(st.text(max_size=40))
def test_any_text_is_a_name_or_a_mistake(text: str) -> None:
    try:
        name = ImageName.parse(text)
    except ValueError:
        return
    assert not set(str(name)) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:/@")
