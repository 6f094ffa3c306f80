"""Each picture of the documentation can still be made: its page opens, and has on it what the picture is to show."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import pytest
from tests.browser.pictures import PICTURES, taken_in

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def take(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], bytes]]:
    with taken_in(tmp_path_factory.mktemp("pictures")) as take:
        yield take


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_taken(take: Callable[[str], bytes], name: str) -> None:
    made = take(name)
    assert made.startswith(b"\x89PNG")
    assert struct.unpack(">I", made[16:20])[0] == PICTURES[name].width
    assert take(name) == made, "it shows the same again"
