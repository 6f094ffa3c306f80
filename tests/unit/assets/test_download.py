"""Downloads from a real HTTP server on loopback that breaks off, alters, lies and comes back."""

import asyncio
import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from nodisk.assets import download
from nodisk.assets.download import NotThere, Portal, Published, Unreachable
from nodisk.errors import EnvironmentProblem, IntegrityError, NodiskError

DATA = bytes(range(256)) * 4000


class Flaky(ThreadingHTTPServer):
    """Serves DATA at /file; ``cuts`` are the numbers of bytes after which the next answers break off."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.cuts: list[int] = []
        self.data = DATA
        self.ranges: list[str | None] = []
        self.ranges_work = True
        self.errors: list[int] = []
        self.retry_after: str | None = None
        self.pages: list[str] = []
        """What a portal answers next: ``here`` a page with 200, ``there`` a redirect to its login page."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Flaky

    def do_GET(self) -> None:
        server = self.server
        server.ranges.append(self.headers.get("Range"))
        if not self.fails():
            self.serve()

    def fails(self) -> bool:
        """Whether the answer is another than the file."""
        server = self.server
        if self.path == "/login" or (server.pages and server.pages[0] == "here"):
            del server.pages[:1]
            self.page()
        elif server.pages:
            server.pages.pop(0)
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{server.server_port}/login")
            self.end_headers()
        elif server.errors:
            self.refuse(server.errors.pop(0))
        else:
            return False
        return True

    def serve(self) -> None:
        server = self.server
        if self.path == "/circle":
            self.send_response(302)
            self.send_header("Location", "/circle")
            self.end_headers()
            return
        if self.path == "/garbled":
            self.send_response(200)
            self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            self.wfile.write(b"no gzip at all")
            return
        if self.path != "/file":
            self.send_error(404)
            return
        start = 0
        if server.ranges_work and (asked := self.headers.get("Range")):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(server.data):
                self.send_error(416)
                return
            self.send_response(206)
        else:
            self.send_response(200)
        body = server.data[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: server.cuts.pop(0)] if server.cuts else body)

    def page(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", "28")
        self.end_headers()
        self.wfile.write(b"<!DOCTYPE html><p>Log in</p>")

    def refuse(self, code: int) -> None:
        self.send_response(code)
        if self.server.retry_after is not None:
            self.send_header("Retry-After", self.server.retry_after)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class' name
        pass


@pytest.fixture
def server() -> Iterator[Flaky]:
    with Flaky() as flaky:
        thread = threading.Thread(target=flaky.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield flaky
        flaky.shutdown()
        thread.join()


def load(server: Flaky, target: Path, sha256: str | None = None, progress: download.Progress | None = None) -> None:
    async def go() -> None:
        async with download.client() as http:
            published = Published("sha256", sha256 or hashlib.sha256(DATA).hexdigest())
            await download.file(http, f"{server.url}/file", target, published, progress, pause=0.001)

    asyncio.run(go())


def test_a_broken_line_is_continued_where_it_broke(server: Flaky, tmp_path: Path) -> None:
    server.cuts = [300_000, 200_000]
    seen: list[tuple[int, int | None]] = []
    load(server, tmp_path / "f", progress=lambda done, total: seen.append((done, total)))
    assert (tmp_path / "f").read_bytes() == DATA
    assert server.ranges == [None, "bytes=300000-", "bytes=500000-"]
    assert seen[-1] == (len(DATA), len(DATA))
    assert not (tmp_path / "f.part").exists()


def test_a_second_run_continues_the_first_ones_part_and_a_third_loads_nothing(server: Flaky, tmp_path: Path) -> None:
    (tmp_path / "f.part").write_bytes(DATA[:1000])
    load(server, tmp_path / "f")
    load(server, tmp_path / "f")
    assert server.ranges == ["bytes=1000-"]


def test_a_part_that_is_already_whole_is_taken(server: Flaky, tmp_path: Path) -> None:
    (tmp_path / "f.part").write_bytes(DATA)
    load(server, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == DATA


def test_a_server_without_ranges_starts_over(server: Flaky, tmp_path: Path) -> None:
    server.ranges_work, server.cuts = False, [100_000]
    load(server, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == DATA


def test_a_part_of_another_file_is_thrown_away_and_loaded_anew(server: Flaky, tmp_path: Path) -> None:
    (tmp_path / "f.part").write_bytes(b"from yesterday's file")
    load(server, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == DATA


def test_altered_content_is_refused_and_not_kept(server: Flaky, tmp_path: Path) -> None:
    server.data = DATA[:-1] + b"!"
    with pytest.raises(IntegrityError, match="sha256 differs"):
        load(server, tmp_path / "f")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_altered_on_disk_is_loaded_again(server: Flaky, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(DATA[:-1] + b"!")
    load(server, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == DATA


def test_passing_faults_of_the_server_are_waited_out(server: Flaky, tmp_path: Path) -> None:
    server.errors = [503, 502]
    load(server, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == DATA


def test_a_line_that_always_breaks_ends_with_an_error_and_keeps_the_part(server: Flaky, tmp_path: Path) -> None:
    server.cuts = [10] * 5
    with pytest.raises(Unreachable, match=r"broke off|closed|incomplete"):
        load(server, tmp_path / "f")
    assert (tmp_path / "f.part").stat().st_size == 50
    assert not (tmp_path / "f").exists()


def test_what_is_not_there_is_not_tried_again(server: Flaky, tmp_path: Path) -> None:
    server.errors = [404]
    with pytest.raises(NodiskError, match="404"):
        load(server, tmp_path / "f")
    assert len(server.ranges) == 1


def test_a_line_that_breaks_often_and_brings_something_each_time_is_followed_to_the_end(
    server: Flaky, tmp_path: Path
) -> None:
    server.cuts = [100_000] * 10
    load(server, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == DATA
    assert len(server.ranges) == 11


@pytest.mark.parametrize("page", ["here", "there"])
@pytest.mark.parametrize("before", [b"", DATA[:1000]])
def test_a_portals_page_is_no_file_and_costs_nothing_that_was_loaded(
    server: Flaky, tmp_path: Path, page: str, before: bytes
) -> None:
    (tmp_path / "f.part").write_bytes(before)
    server.pages = [page]
    with pytest.raises(Portal, match="a web page came instead of the file") as caught:
        load(server, tmp_path / "f")
    assert "login" in str(caught.value.hint)
    assert ("(from http://localhost" in caught.value.message) is (page == "there")
    assert (tmp_path / "f.part").read_bytes() == before
    load(server, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == DATA


def test_a_page_that_calls_itself_something_else_is_known_by_its_beginning(server: Flaky, tmp_path: Path) -> None:
    server.data = b"\n<!doctype HTML><title>Please log in</title>"
    with pytest.raises(IntegrityError, match="sha256 differs") as caught:
        load(server, tmp_path / "f")
    assert "portal" in str(caught.value.hint)


@pytest.mark.parametrize("path", ["file", "text"])
def test_a_busy_servers_wish_to_wait_is_granted(server: Flaky, tmp_path: Path, path: str) -> None:
    server.errors, server.retry_after = [429, 503], "1"
    started = time.monotonic()
    if path == "file":
        load(server, tmp_path / "f")
    else:
        server.data = b"v1.36.1"
        assert ask(f"{server.url}/file") == "v1.36.1"
    assert time.monotonic() - started >= 2


def test_a_server_that_wants_a_day_of_patience_does_not_get_it(server: Flaky, tmp_path: Path) -> None:
    server.errors, server.retry_after = [429], "86400"
    with pytest.raises(Unreachable, match="429 Too Many Requests, and asks to be tried again in 86400 s"):
        load(server, tmp_path / "f")
    assert len(server.ranges) == 1


def test_nobody_there_is_said_within_seconds_and_promises_nothing(tmp_path: Path) -> None:
    async def go() -> None:
        async with download.client() as http:
            await download.file(http, url, tmp_path / "f", Published("sha256", "0" * 64), remedy="a way round")

    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/f"
        started = time.monotonic()
        with pytest.raises(Unreachable, match="can't be loaded") as caught:
            asyncio.run(go())
        assert time.monotonic() - started < 30
        assert caught.value.hint == "a way round"
        (tmp_path / "f.part").write_bytes(b"some")
        with pytest.raises(Unreachable) as caught:
            asyncio.run(go())
        assert caught.value.hint == "run the command again; it continues where it stopped; a way round"


def test_a_missing_file_is_told_with_the_way_round(server: Flaky, tmp_path: Path) -> None:
    async def go() -> None:
        async with download.client() as http:
            await download.file(http, f"{server.url}/no", tmp_path / "f", Published("sha256", "0" * 64), remedy="so")

    with pytest.raises(NotThere, match=r"/no not found: 404 Not Found") as caught:
        asyncio.run(go())
    assert caught.value.hint == "so"


def test_a_password_in_an_address_is_not_told(server: Flaky) -> None:
    with pytest.raises(NotThere) as caught:
        ask(f"http://me:secret@127.0.0.1:{server.server_port}/no")
    assert "secret" not in caught.value.message


def test_a_proxy_is_used_and_named_when_it_fails(server: Flaky, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server stands in for a proxy: it is asked for a whole URL of a host that exists nowhere."""
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(NotThere):
        ask("http://nowhere.invalid/no")
    assert len(server.ranges) == 1
    monkeypatch.setenv("http_proxy", "http://me:secret@127.0.0.1:1")
    with pytest.raises(Unreachable, match=r"via the proxy http://127\.0\.0\.1:1\)"):
        ask("http://nowhere.invalid/no")
    with pytest.raises(NotThere):
        ask(f"{server.url}/no")


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("A" * 64, None, "a" * 64),
        (f"{'a' * 64}  one.tgz\n{'b' * 64} *two.tgz\n", "two.tgz", "b" * 64),
        (f"# SHA256\n{'a' * 64}  ./dir/one.tgz\n", "one.tgz", "a" * 64),
    ],
)
def test_published_hashes(text: str, name: str | None, expected: str) -> None:
    assert Published.parse("sha256", text, name=name).hex == expected


@pytest.mark.parametrize(("text", "name"), [("", None), ("<html>login</html>", None), (f"{'a' * 64}  one", "two")])
def test_a_list_without_the_hash_is_refused(text: str, name: str | None) -> None:
    with pytest.raises(IntegrityError):
        Published.parse("sha256", text, name=name)


def ask(url: str) -> str:
    async def go() -> str:
        async with download.client() as http:
            return await download.text(http, url, tries=1)

    return asyncio.run(go())


@pytest.mark.parametrize("path", ["/circle", "/garbled"])
def test_an_answer_that_no_one_can_follow_counts_as_none(server: Flaky, path: str) -> None:
    with pytest.raises(Unreachable, match=r"redirect|decod|decompress"):
        ask(server.url + path)


def test_a_file_behind_a_circle_of_redirects_is_unreachable(server: Flaky, tmp_path: Path) -> None:
    async def go() -> None:
        async with download.client() as http:
            await download.file(http, f"{server.url}/circle", tmp_path / "f", Published("sha256", "0" * 64), pause=0)

    with pytest.raises(Unreachable, match="redirect"):
        asyncio.run(go())


@pytest.mark.parametrize("url", ["http://[::1", "http://x:port/", "http://\x00/"])
def test_what_is_no_address_is_named_with_the_variable_to_correct(url: str) -> None:
    with pytest.raises(NodiskError, match="is not a valid file URL") as caught:
        ask(url)
    assert "NODISK_UPSTREAM_" in str(caught.value.hint)


def test_a_proxy_that_is_none_is_the_environments_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "gopher://proxy")
    with pytest.raises(EnvironmentProblem, match="proxy"):
        download.client()
