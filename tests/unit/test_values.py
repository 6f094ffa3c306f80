"""Value types: every spelling people use, and nothing else."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.values import ImageRef, KubeVersion, Mac, Name, Size

NO_MACS = [
    "52::54:00:ab:01:02",
    "5254..00ab.0102",
    "0252:54:00:ab:01:02",
    "52:54:00:ab:01:02:",
    "52.54:0:ab:1:2",
    "٥٢5400ab0102",
]


@pytest.mark.parametrize(
    "text",
    [
        "52:54:00:ab:01:02",
        " 52:54:00:ab:01:02 ",
        "52-54-00-AB-01-02",  # Windows
        "52:54:0:ab:1:2",  # macOS, BSD
        "5254.00ab.0102",  # Cisco
        "5254-00ab-0102",  # Huawei, H3C
        "525400-ab0102",  # HP
        "525400:AB0102",
        "52 54 00 ab 01 02",
        "525400ab0102",
        "525400AB0102",
        "01-52-54-00-ab-01-02",  # PXELINUX
        "01:52:54:00:ab:01:02",  # DHCP's client id
        "0152.5400.ab01.02",  # the same, of Cisco
    ],
)
def test_mac_spellings(text: str) -> None:
    mac = Mac.parse(text)
    assert str(mac) == "52:54:00:ab:01:02"
    assert mac.hyphened == "52-54-00-ab-01-02"


@pytest.mark.parametrize(
    "text", ["", "52:54:00:ab:01", "52:54:00:ab:01:0g", "01:00:5e:00:00:01", "00:00:00:00:00:00", *NO_MACS]
)
def test_mac_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"MAC|multicast|zeros"):
        Mac.parse(text)


MACS = st.integers(1, 2**48 - 1).filter(lambda n: not n >> 40 & 1)


@given(MACS)
def test_mac_round_trip(value: int) -> None:
    assert Mac.parse(str(Mac(value))) == Mac(value) == Mac.parse(Mac(value).hyphened)


@given(MACS, st.sampled_from(":-. "), st.sampled_from([2, 4, 6, 12]), st.booleans(), st.booleans())
def test_mac_as_devices_print_it(value: int, mark: str, size: int, upper: bool, typed: bool) -> None:
    digits = f"{value:012X}" if upper else f"{value:012x}"
    groups = [digits[start : start + size] for start in range(0, 12, size)]
    text = mark.join((["01"] if typed else []) + groups)
    assert Mac.parse(text) == Mac(value)
    assert re.search(Mac.schema["pattern"], text)


@given(st.text("0123456789abcdefABCDEF:-. ", min_size=10, max_size=24))
def test_the_schema_of_a_mac_is_its_parser(text: str) -> None:
    try:
        Mac.parse(text)
    except ValueError as error:
        if "is not a MAC" in str(error):
            assert not re.search(Mac.schema["pattern"], text)
    else:
        assert re.search(Mac.schema["pattern"], text.strip())


@pytest.mark.parametrize("text", ["", "S4", "-a", "a-", "a.b", "a" * 64, "ż", "a\n"])
def test_name_refused(text: str) -> None:
    with pytest.raises(ValueError, match="RFC 1123"):
        Name.parse(text)


def test_versions() -> None:
    assert str(KubeVersion.parse("v1.20.2")) == "1.20.2"
    assert KubeVersion.parse("1.36").patch is None
    assert KubeVersion.parse("1.9.1") < KubeVersion.parse("1.20")
    for printed in ("v1.20.2", "v1.20.2-dirty", "v1.20.2+k3s1", "v1.20.2-beta.1+build"):
        assert KubeVersion.printed(printed) == KubeVersion(1, 20, 2)


@pytest.mark.parametrize("text", ["1.36.0-rc.1", "v1.36.0-alpha.0", "1.36.1+x", "1", "latest", "1.36.x"])
def test_what_is_no_released_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a( released)? version of Kubernetes"):
        KubeVersion.parse(text)


@pytest.mark.parametrize(
    ("text", "mib"), [("2GiB", 2048), ("2G", 2048), ("1.5Gi", 1536), ("512 MiB", 512), ("1048576", 1)]
)
def test_sizes(text: str, mib: int) -> None:
    assert Size.parse(text).mib == mib


def test_a_size_that_no_float_holds() -> None:
    with pytest.raises(ValueError, match="is not a size"):
        Size.parse("9" * 400 + "GiB")


@given(st.text(max_size=20))
def test_only_value_errors(text: str) -> None:
    for kind in (Mac, Name, KubeVersion, Size):
        with contextlib.suppress(ValueError):
            kind.parse(text)


@pytest.mark.parametrize(
    ("text", "host", "path", "tag", "program"),
    [
        ("registry.k8s.io/coredns/coredns:v1.12.0", "registry.k8s.io", "coredns/coredns", "v1.12.0", "coredns"),
        ("localhost:5000/x:1", "localhost:5000", "x", "1", "x"),
        ("localhost/x:1", "localhost", "x", "1", "x"),
        ("flannel/flannel:v1", None, "flannel/flannel", "v1", "flannel"),
        ("busybox:1", None, "busybox", "1", "busybox"),
        ("10.0.0.1:5000/a_b/c.d:2", "10.0.0.1:5000", "a_b/c.d", "2", "c.d"),
    ],
)
def test_images_are_read_in_parts(text: str, host: str | None, path: str, tag: str, program: str) -> None:
    image = ImageRef.parse(text)
    assert (image.host, image.path, image.tag, image.program) == (host, path, tag, program)
    assert str(image) == text


@pytest.mark.parametrize(
    "text",
    ["", "x", "x:", ":1", "a b:1", "x:1@sha256:ab", "x@sha256:ab", "x:1\n", "a/:1", "x:" + "v" * 129, "host:50/x"],
)
def test_what_is_no_image_with_a_tag_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a container image with a tag"):
        ImageRef.parse(text)


@given(st.text(max_size=40))
def test_any_text_is_an_image_that_prints_as_it_was_or_is_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert str(ImageRef.parse(text)) == text
