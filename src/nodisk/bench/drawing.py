"""How the report's plots look. matplotlib (the extra ``report``) is imported only here, and only to draw."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nodisk.errors import EnvironmentProblem

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx", "----", "++", "oo", "**")
MARKERS = "osD^vP*X<>"
DASHES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
# Okabe and Ito's palette keeps apart for colour-blind eyes, and in grey.
COLOURS = ("#56b4e9", "#e69f00", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#999999")


def pyplot() -> Any:
    """matplotlib's pyplot, set up; raises EnvironmentProblem if it isn't installed."""
    try:
        import matplotlib as mpl  # noqa: PLC0415
    except ImportError as error:
        raise EnvironmentProblem(
            "the report's plots need matplotlib, which is not installed",
            hint="pip install 'nodisk[report]', or add --no-plots: the report then has tables only",
        ) from error
    mpl.use("svg")
    from matplotlib import pyplot as found  # noqa: PLC0415

    found.rcParams.update(
        {
            "svg.fonttype": "path",  # the same on every machine, without its fonts
            "svg.hashsalt": "nodisk",  # the same ids for the same data
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "hatch.linewidth": 0.6,
            "axes.axisbelow": True,
        }
    )
    return found


def svg(title: str, height: float, draw: Callable[[Axes], None]) -> str:
    """A figure that ``draw`` fills, as inline SVG; ``height`` in inches."""
    library = pyplot()
    figure, axes = library.subplots(figsize=(7.6, height), layout="constrained")
    draw(axes)
    sink = io.StringIO()
    figure.savefig(sink, format="svg", metadata={"Date": None, "Creator": None})
    library.close(figure)
    text = sink.getvalue()
    text = text[text.index("<svg") :]
    # Ids are unique within a figure only, and a page has several.
    prefix = re.sub(r"\W", "", title.lower())
    text = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{prefix}-", text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)
