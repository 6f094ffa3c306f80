"""URLs as Go's net/url takes them."""

import pytest

from nodisk.butane import gourl


@pytest.mark.parametrize(
    "url",
    [
        "http://a%25b/",
        'http://a"b/',
        "http://[fe80::1%25eth0]/",
        "http://[fe80::1%25a%20b%25]/",
        "http://%e4/",
        "http://a/%22",
    ],
)
def test_good_hosts(url: str) -> None:
    assert gourl.parse(url).scheme == "http"


@pytest.mark.parametrize(
    "url",
    ["http://a%20b/", "http://a b/", "http://[fe80::1%25 x]/", "http://[fe80::1%25%2Fx]/", "http://[fe80::1%25%]/"],
)
def test_bad_hosts(url: str) -> None:
    with pytest.raises(gourl.BadUrl):
        gourl.parse(url)
