"""The pictures of README.md and docs/, taken in a browser beside a room that really boots.

``tests/vm/test_0_console.py`` takes each of them whenever it runs; with ``NODISK_UPDATE_PICTURES=1`` it writes them
into the documentation, too.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path

from selenium.webdriver import Chrome
from tests.support.chromium import media, patiently

from nodisk import files

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
MOST_BYTES = 120 * 1024
"""A picture is loaded by everybody who reads the page."""
WIDE, PHONE = 1200, 390
WINDOW = 860
"""The height of a window in CSS pixels; what is further down is not on a picture."""


@dataclass(frozen=True, slots=True)
class Picture:
    """How a page is photographed: widths and heights are CSS pixels."""

    says: str
    """Text that is on it."""
    width: int = WIDE
    most: int = WINDOW
    """Its height at most: a page full of text makes a large file."""


PICTURES = {
    "room.png": Picture("SHA-256"),
    "machine.png": Picture("Median of the room"),
    "class.png": Picture("can't be pulled", most=740),
    "student.png": Picture("Your key for kubectl"),
    "terminal.png": Picture(""),
    "phone.png": Picture("SHA-256", width=PHONE),
}


def take(driver: Chrome, name: str) -> None:
    """Take the picture of that name of the open page, and put the window back; AssertionError: it is not one."""
    picture = PICTURES[name]
    media(driver, prefers_color_scheme="light")
    driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": picture.width, "height": WINDOW, "deviceScaleFactor": 1, "mobile": picture.width == PHONE},
    )
    try:
        patiently(driver, lambda: picture.says in driver.find_element("css selector", "main").text or None)
        made = _shot(driver, picture)
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        media(driver)
    assert made.startswith(b"\x89PNG"), name
    assert len(made) <= MOST_BYTES, f"{name} has {len(made)} bytes"
    if os.environ.get("NODISK_UPDATE_PICTURES"):
        files.write(FOLDER / name, made)


def _shot(driver: Chrome, picture: Picture) -> bytes:
    # No box has the keyboard, and a page that is shorter leaves no white below it.
    tall = driver.execute_script(
        "document.activeElement.blur(); return Math.ceil(document.querySelector('main').getBoundingClientRect().bottom)"
    )
    clip = {"x": 0, "y": 0, "width": picture.width, "height": min(tall, picture.most), "scale": 1}
    return base64.b64decode(driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "clip": clip})["data"])
