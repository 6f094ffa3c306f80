"""The tables of other tools' words: each is reached, means one thing, and leads to a key that there is."""

from __future__ import annotations

import pytest
from tests.unit.spec.labs import TEN_LINES

from nodisk.spec import messages, synonyms
from nodisk.spec.load import examine

PAIRS = [(place, word) for place, words in synonyms.WORDS.items() for word in words.split()]
VALUES = [
    (place, value, word)
    for place, values in synonyms.CHOICES.items()
    for value, words in values.items()
    for word in words.split()
]


@pytest.mark.parametrize("place", synonyms.WORDS)
def test_a_word_leads_to_a_key_that_there_is(place: str) -> None:
    section, _, key = place.rpartition(".")
    assert key in messages.sections()[section]


def test_every_word_is_reached_and_means_one_thing_in_its_section() -> None:
    for place, word in PAIRS:
        assert synonyms.plain(word) == word
        section = place.rpartition(".")[0]
        assert word not in messages.sections()[section], f"{word} is a key of {section} itself"
        assert synonyms.keys(section, word) == place
    for place, value, word in VALUES:
        assert synonyms.plain(word) == word
        assert synonyms.choice(place, word) == value
    for words in synonyms.ABSENT:
        for word in words.split():
            assert synonyms.plain(word) == word


@pytest.mark.parametrize("word", ["dnsServers", "DNS-Servers", "dns servers", "dns.servers", "DNS_SERVERS"])
def test_spellings(word: str) -> None:
    assert synonyms.keys("network", word) == "network.dns"


@pytest.mark.parametrize(("place", "word"), PAIRS)
def test_the_hint_names_the_key(place: str, word: str) -> None:
    """Written at the top level, where most of them don't belong."""
    section, _, key = place.rpartition(".")
    found = examine(TEN_LINES + f"{word}: x\n", file="lab.yaml")[1]
    mine = [problem for problem in found if problem.path == word]
    if not mine:
        assert word in messages.sections()[""]
    elif section == "":
        assert f"`{key}`" in mine[0].hint
    else:
        assert mine[0].hint
        assert "known here" not in mine[0].hint or key in {"name", "role"}


def test_a_role_by_any_other_word() -> None:
    for place, value, word in VALUES:
        if place == "machines[].role":
            found = examine(TEN_LINES + f"    role: {word}\n", file="lab.yaml")[1]
            assert [problem.hint for problem in found] == [f"write `{value}`"]
