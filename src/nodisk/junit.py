"""JUnit's XML, as CI systems read it, for ``verify`` and ``bench``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from xml.etree import ElementTree

# XML 1.0 has no way to write most control characters, not even escaped.
_UNWRITABLE = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Case:
    """One test case: ``status`` is ok, warning (JUnit has no word for it: passed, with its text), failed or skipped."""

    name: str
    status: str
    text: str = ""
    seconds: float = 0.0
    properties: Mapping[str, str] = field(default_factory=dict)
    """What a program is to find beside its text."""


def junit(suite: str, cases: Iterable[Case], *, seconds: float = 0.0) -> str:
    """The document, with its XML declaration."""
    listed = list(cases)
    root = ElementTree.Element(
        "testsuite",
        name=suite,
        tests=str(len(listed)),
        failures=str(sum(one.status == "failed" for one in listed)),
        skipped=str(sum(one.status == "skipped" for one in listed)),
        errors="0",
        time=f"{seconds:.3f}",
    )
    for one in listed:
        case = ElementTree.SubElement(
            root, "testcase", classname=suite.replace(" ", "."), name=one.name, time=f"{one.seconds:.3f}"
        )
        if one.properties:
            listed_too = ElementTree.SubElement(case, "properties")
            for name, value in one.properties.items():
                ElementTree.SubElement(listed_too, "property", name=name, value=_UNWRITABLE.sub("?", value))
        text = _UNWRITABLE.sub("?", one.text)
        if one.status == "failed":
            ElementTree.SubElement(case, "failure", message=text.split("\n", 1)[0]).text = text
        elif one.status == "skipped":
            ElementTree.SubElement(case, "skipped", message=text.split("\n", 1)[0])
        elif text:
            ElementTree.SubElement(case, "system-out").text = text
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"
