"""The framing of an exec over a WebSocket: what goes in comes out, and no message is misread."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.kube import channels
from nodisk.kube.channels import Channel, Outcome


@given(st.sampled_from(Channel), st.binary(max_size=200))
def test_a_frame_is_read_as_it_was_made(channel: Channel, data: bytes) -> None:
    assert channels.parse(channels.frame(channel, data)) == (channel, data)


@given(st.binary(max_size=20) | st.text(max_size=20))
def test_any_message_is_read_or_refused(message: bytes | str) -> None:
    with contextlib.suppress(ValueError):
        channel, data = channels.parse(message)
        assert channels.frame(channel, data) == message


@pytest.mark.parametrize("message", [b"", b"\x05x", b"\xffx", "text"])
def test_what_the_protocol_doesn_t_know_is_refused(message: bytes | str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - several texts
        channels.parse(message)


@given(st.integers(-10, 1000), st.integers(-10, 1000))
def test_only_possible_sizes_are_told(columns: int, rows: int) -> None:
    if 1 <= columns <= 500 and 1 <= rows <= 500:
        channel, data = channels.parse(channels.size(columns, rows))
        assert (channel, json.loads(data)) == (Channel.RESIZE, {"Width": columns, "Height": rows})
    else:
        with pytest.raises(ValueError, match="no size"):
            channels.size(columns, rows)


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ({"status": "Success", "metadata": {}}, Outcome(0)),
        (
            {
                "status": "Failure",
                "message": "command terminated with non-zero exit code",
                "reason": "NonZeroExitCode",
                "details": {"causes": [{"reason": "ExitCode", "message": "137"}]},
            },
            Outcome(137, "command terminated with non-zero exit code"),
        ),
        ({"status": "Failure", "message": "container not found"}, Outcome(None, "container not found")),
        ({"status": "Failure", "details": {"causes": "none"}}, Outcome(None)),
        ({"status": "Failure", "details": {"causes": [{"reason": "ExitCode", "message": "x"}]}}, Outcome(None)),
    ],
)
def test_how_a_command_ended(said: object, outcome: Outcome) -> None:
    assert channels.outcome(json.dumps(said).encode()) == outcome


@given(st.binary(max_size=50) | st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: (
    st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["status", "details", "causes", "reason"]), inner)
), max_leaves=6).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_any_end_is_an_outcome(data: bytes) -> None:
    assert isinstance(channels.outcome(data), Outcome)
