"""What is wrong with a ``data:`` URL, in the words of Ignition's reader."""

from __future__ import annotations

import time

import pytest

from nodisk.butane import dataurl


@pytest.mark.parametrize(
    "source",
    [
        "data:,",
        "data:,a%20b",
        "data:;base64,",
        "data:;base64,YQ==",
        "data:text/plain;charset=utf-8,x",
        "data:textual/,x",
        "data:X-a/b,x",
        'data:;a="b\\"\\x41\\u00e4\\U0001f600\\101,;c",x',
        'data:;a="";b=%zz,x',
        "data:;a=b;base64,YQ==",
    ],
)
def test_good(source: str) -> None:
    assert dataurl.problem(source) is None


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("http:,", "missing data prefix"),
        ("data:", "missing comma before data"),
        ("data:/x,a", "invalid character after data prefix"),
        ("data:é/x,a", "invalid character after data prefix"),
        ("data:text", "missing media type slash"),
        ("data:x", "missing media type slash"),
        ("data:X/y,a", "invalid character for media type"),
        ("data:text,a", "invalid character for media type"),
        ("data:xml/y,a", "invalid media type"),
        ("data:foo/y,a", "invalid media type"),
        ("data:text/plain", "incomplete media type"),
        ("data:text/p@,a", "invalid character for media subtype"),
        ("data:;", "unterminated parameter sequence"),
        ("data:;,a", "unterminated parameter sequence"),
        ("data:;=a,b", "unterminated parameter sequence"),
        ("data:;a", "unterminated parameter sequence"),
        ("data:;@=a,b", "invalid character for parameter attribute"),
        ("data:;a;b=c,d", "invalid character for parameter attribute"),
        ("data:;base32,a", "expected base64, got base32"),
        ("data:;a=", "missing comma before data"),
        ("data:;a=b", "missing comma before data"),
        ("data:;a=,b", "invalid character for parameter value"),
        ("data:;a=b@,c", "invalid character for parameter value"),
        ("data:;a=%zz,b", "rfc2396: invalid char 0x25 in unescape sequence"),
        ("data:;a=%4,b", "rfc2396: unexpected end of unescape sequence"),
        ("data:;a=%zz;@", "rfc2396: invalid char 0x25 in unescape sequence"),
        ('data:;a="b,c', "unclosed quoted string"),
        ('data:;a="b\\', "unclosed quoted string"),
        ('data:;a="é",c', "invalid character for parameter value"),
        ('data:;a="\\é",c', "invalid escaped character"),
        ('data:;a="b"', "missing comma before data"),
        ('data:;a="b"c,d', "expected semicolon or comma"),
        ('data:;a="\\q",c', "invalid syntax"),
        ('data:;a="\\ud83d",c', "invalid syntax"),
        ('data:;a="\\777",c', "invalid syntax"),
        ("data:,a b", "invalid data character"),
        ("data:,a%2", "rfc2396: unexpected end of unescape sequence"),
        ("data:,a%zz", "rfc2396: invalid char 0x25 in unescape sequence"),
        ("data:;base64,a b", "invalid data character"),
        ("data:;base64,YQ=", "illegal base64 data at input byte 3"),
    ],
)
def test_bad(source: str, said: str) -> None:
    assert dataurl.problem(source) == said


def test_long_ones_take_no_time() -> None:
    start = time.process_time()
    dataurl.problem('data:;a="' + "x" * 1_000_000)
    dataurl.problem("data:" + ";a=b" * 200_000 + ",")
    dataurl.problem("data:," + "%41" * 1_000_000)
    assert time.process_time() - start < 2
