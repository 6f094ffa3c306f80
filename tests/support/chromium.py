"""Debian's Chromium for tests: a browser with an empty profile, without a window and without calls home."""

from __future__ import annotations

import importlib.util
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

from selenium.common.exceptions import TimeoutException, WebDriverException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait
from tests.support.waits import LONG

T = TypeVar("T")

BROWSER, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
SWITCHES = (
    "--headless=new",
    "--no-sandbox",  # tests run as root, which Chromium's sandbox refuses
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",  # a container's /dev/shm may be small
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
)
SETTLED = 5.0
"""Seconds after which a page that is on its way is there."""
PATIENCE = LONG
"""Seconds for anything that a page is waited for; usual are tenths, on a busy host a few."""


@contextmanager
def chromium(*, key_hash: str, scripts: bool = True) -> Iterator[Chrome]:
    """A browser of its own, ended with its profile.

    ``key_hash``: base64 of the SHA-256 of a public key; a certificate with that key counts, and no other unknown one.
    ``scripts``: whether pages may run JavaScript.
    """
    with tempfile.TemporaryDirectory(prefix="nodisk-chromium-", ignore_cleanup_errors=True) as profile:
        options = ChromeOptions()
        options.binary_location = BROWSER
        for switch in SWITCHES:
            options.add_argument(switch)
        options.add_argument(f"--user-data-dir={profile}")
        options.add_argument(f"--ignore-certificate-errors-spki-list={key_hash}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        languages: dict[str, Any] = {"intl.accept_languages": "en"}
        if not scripts:
            languages["profile.managed_default_content_settings.javascript"] = 2
        options.add_experimental_option("prefs", languages)
        driver = Chrome(options=options, service=Service(DRIVER))
        try:
            driver.set_page_load_timeout(PATIENCE)
            driver.set_script_timeout(PATIENCE)
            yield driver
        finally:
            driver.quit()


def patiently(driver: Chrome, look: Callable[[], T | None]) -> T:
    """What ``look`` returns once it returns something.

    Pages are live: an element that is replaced, or reloaded, while it is read or clicked is looked for again. Chromium
    has several words for that, one of which selenium knows by no name.
    """
    wait = WebDriverWait(driver, PATIENCE, poll_frequency=0.1, ignored_exceptions=(WebDriverException,))
    try:
        return cast("T", wait.until(lambda _: look()))
    except TimeoutException as error:
        page = driver.find_element(By.TAG_NAME, "body").text
        raise AssertionError(f"not on the page at {driver.current_url}:\n{page}") from error


def wait_for(driver: Chrome, selector: str, text: str = "") -> WebElement:
    """The first element of that selector, once one has that text."""

    def found() -> WebElement | None:
        return next((one for one in driver.find_elements(By.CSS_SELECTOR, selector) if text in one.text), None)

    return patiently(driver, found)


def click(driver: Chrome, selector: str, text: str = "") -> None:
    """Click the first element of that selector that has that text.

    Chromium may complain of a click that has led to another page: it was one if the element is gone for good.
    """
    tried = False
    gone = 0.0

    def done() -> bool:
        nonlocal tried, gone
        element = next((one for one in driver.find_elements(By.CSS_SELECTOR, selector) if text in one.text), None)
        if element is None:
            gone = gone or time.monotonic()
            return tried and time.monotonic() - gone > SETTLED
        gone, tried = 0.0, True
        element.click()
        return True

    patiently(driver, done)


def texts(driver: Chrome, selector: str) -> list[str]:
    """The texts of all elements of that selector; there is one at least."""
    return patiently(driver, lambda: [one.text for one in driver.find_elements(By.CSS_SELECTOR, selector)])


def media(driver: Chrome, **features: str) -> None:
    """Let pages find these media features, such as ``prefers_color_scheme="dark"``; none for the browser's own."""
    found = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": found})


def complaints(driver: Chrome) -> list[str]:
    """What the browser's console says since the last call: broken policies, scripts' errors, files that don't load."""
    return [f"{line['level']}: {line['message']}" for line in driver.get_log("browser")]  # type: ignore[no-untyped-call]


def violations(driver: Chrome) -> list[str]:
    """What axe-core finds wrong with the open page: the rule, what it says, where."""
    found = driver.execute_script(_axe())
    found = driver.execute_async_script(
        "const done = arguments[0]; axe.run(document).then(found => done({bad: found.violations, good: found.passes}),"
        " error => done({error: String(error)}));"
    )
    assert found.get("good"), f"axe-core found nothing to look at: {found}"
    return [
        f"{rule['id']}: {rule['help']}: {', '.join(str(node['target']) for node in rule['nodes'])}"
        for rule in found["bad"]
    ]


def _axe() -> str:
    # The package is there for this file alone, and can't be imported without what it depends on (tools/axe.lock).
    spec = importlib.util.find_spec("axe_playwright_python")
    assert spec is not None, "axe-core is missing: make installs it (tools/axe.lock)"
    assert spec.submodule_search_locations is not None
    return (Path(spec.submodule_search_locations[0]) / "axe.min.js").read_text(encoding="utf-8")
