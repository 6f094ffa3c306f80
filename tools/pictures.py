"""Writes docs/pictures from the console's pages, in a browser: ``python tools/pictures.py``, in the checkout."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.browser.pictures import FOLDER, PICTURES, taken_in

from nodisk import files


def main() -> None:
    """Take all of them, by a clock of no country."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    with tempfile.TemporaryDirectory(prefix="nodisk-pictures-") as folder, taken_in(Path(folder)) as take:
        for name in PICTURES:
            files.write(FOLDER / name, take(name))


if __name__ == "__main__":
    main()
