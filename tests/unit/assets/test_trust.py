"""Whom a build believes, and what its faults say."""

import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.assets import faults, mirror, trust
from nodisk.assets.faults import Kind

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def test_programs_of_the_build_get_proxies_and_trust_and_nothing_else() -> None:
    own = {"HTTPS_PROXY": "a", "no_proxy": "b", "SSL_CERT_FILE": "c", "SSL_CERT_DIR": "d", "HOME": "e", "TOKEN": "f"}
    assert set(trust.environment(own)) == {"HTTPS_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"}


def test_apt_gets_one_file_of_all_authorities(tmp_path: Path) -> None:
    assert trust.apt_options(tmp_path, {}) == []
    (tmp_path / "folder").mkdir()
    for name in ("one.pem", "folder/two.pem"):
        (tmp_path / name).write_text(f"{name}\n")
    own = {"SSL_CERT_FILE": str(tmp_path / "one.pem"), "SSL_CERT_DIR": f"{tmp_path}/folder:{tmp_path}/none"}
    (line,) = trust.apt_options(tmp_path, own)
    bundle = Path(line.split('"')[1])
    assert line == f'Acquire::https::CAInfo "{bundle}";'
    assert bundle.read_text().endswith("one.pem\n\nfolder/two.pem\n\n")
    assert bundle.stat().st_mode & 0o777 == 0o644


def test_a_variable_that_names_nothing_is_found(tmp_path: Path) -> None:
    assert trust.missing_file({"SSL_CERT_DIR": str(tmp_path)}) is None
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        assert str(trust.missing_file({name: f"{tmp_path}/x"})).startswith(f"${name} names {tmp_path}/x")


def test_a_file_that_holds_no_certificate_breaks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "README").write_text("no certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert trust.context().verify_mode is ssl.CERT_REQUIRED


def test_the_connection_settings_of_apt_go_along() -> None:
    dump = (
        'Acquire::http::Proxy "http://p:3128";\nAcquire::https::Proxy::deb.example "DIRECT";\n'
        'Acquire::https::CAInfo "/etc/ca.pem";\nAcquire::https::deb.example::CaInfo "/etc/other.pem";\n'
        'Acquire::https::Verify-Peer "true";\nAcquire::http "";\nAcquire::http::Proxy "";\n'
        'Acquire::Languages "none";\nAPT::Install-Recommends "0";\nAcquire::http::User-Agent "x";\n'
    )
    assert mirror.connection_options(dump) == dump.splitlines()[:5]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        (" 120 ", 120.0),
        (format_datetime(NOW + timedelta(seconds=30), usegmt=True), 30.0),
        (format_datetime(NOW - timedelta(hours=1), usegmt=True), 0.0),
        ("", None),
        ("soon", None),
        ("-3", None),
        ("9" * 40, None),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    assert faults.retry_after(text, NOW) == seconds


@given(st.text(max_size=60))
def test_any_retry_after_is_read_or_not(text: str) -> None:
    found = faults.retry_after(text, NOW)
    assert found is None or found >= 0


@pytest.mark.parametrize(
    ("code", "headers", "kind", "again", "wait"),
    [
        (404, {}, Kind.MISSING, False, None),
        (403, {}, Kind.REFUSED, False, None),
        (407, {}, Kind.REFUSED, False, None),
        (429, {"Retry-After": "3"}, Kind.BUSY, True, 3.0),
        (429, {"Retry-After": "86400"}, Kind.BUSY, False, None),
        (503, {}, Kind.BUSY, True, None),
        (511, {}, Kind.PORTAL, False, None),
        (200, {"Content-Type": "text/html; charset=utf-8"}, Kind.PORTAL, False, None),
    ],
)
def test_answers_that_are_not_the_file(
    code: int, headers: dict[str, str], kind: Kind, again: bool, wait: float | None
) -> None:
    url = "https://a.example/x"
    fault = faults.of_answer(url, httpx2.Response(code, headers=headers, request=httpx2.Request("GET", url)))
    assert fault is not None
    assert (fault.kind, fault.again, fault.wait) == (kind, again, wait)


def test_a_login_page_elsewhere_is_named() -> None:
    answer = httpx2.Response(
        200, headers={"Content-Type": "text/html"}, request=httpx2.Request("GET", "http://me:pw@portal.example/login")
    )
    fault = faults.of_answer("https://a.example/x", answer)
    assert fault is not None
    assert "(from http://portal.example/login)" in fault.reason


def test_the_proxy_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://me:secret@proxy.example:3128")
    monkeypatch.setenv("no_proxy", "near.example")
    error = httpx2.ConnectError("refused", request=httpx2.Request("GET", "https://a.example/"))
    assert faults.of_error("https://a.example/", error).reason == ("refused (via the proxy http://proxy.example:3128)")
    error = httpx2.ConnectError("refused", request=httpx2.Request("GET", "https://near.example/"))
    assert faults.of_error("https://near.example/", error).reason == "refused"
