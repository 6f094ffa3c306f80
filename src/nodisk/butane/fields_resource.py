"""The description of Butane and Ignition 3.x: content from anywhere, which many keys hold."""

from __future__ import annotations

from nodisk.butane.schema import Field, ListOf, Struct

STRS = ListOf("string")
OPTIONS = ListOf("string", unique=False)

VERIFICATION = Struct(
    "Verification",
    (Field("hash", "string", "Hash of the content, `TYPE-VALUE`: `sha512`, and from spec 3.1.0 `sha256`."),),
)
HEADER = Struct(
    "HTTPHeader",
    (
        Field("name", "string", "The header's name; unique in the list.", required=True),
        Field("value", "string", "The header's value; without it, merging removes the header of the parent config."),
    ),
    key="name",
)
RESOURCE = Struct(
    "Resource",
    (
        Field(
            "compression", "string", "`gzip`, or an empty string for none. Chosen automatically for inline and local."
        ),
        Field("http_headers", ListOf(HEADER), "Headers to send; only for `http` and `https` sources.", since=1),
        Field("source", "string", "URL: `http`, `https`, `tftp`, `s3`, `data`; from 3.2.0 `gs`, from 3.4.0 `arn`."),
        Field("inline", "string", "The content itself.", json=None),
        Field("local", "string", "A file to embed, relative to `--files-dir`.", json=None, since=1),
        Field("verification", VERIFICATION, "How to verify the content."),
    ),
    key="source",
)
