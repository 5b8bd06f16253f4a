"""The plots of a report, drawn by matplotlib as SVG files: the same data, the same bytes."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import LogFormatter

from benchmarks.harness.report import Plot, Series

COLOURS = (
    *("#3b5bdb", "#f08c00", "#2b8a3e", "#c2255c", "#868e96"),
    *("#0c8599", "#9c36b5", "#e8590c", "#5c940d", "#364fc7"),
)
INCHES = (7.2, 4.0)
LEGEND_COLUMNS = 5
LABEL_ROOM = 80  # characters that fit side by side under the bars
BAR_SHARE = 0.8  # of the room between two names
STYLE = {
    "svg.hashsalt": "signboard",  # ids in the file do not change from run to run
    "svg.fonttype": "path",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "figure.facecolor": "white",
}


def draw(plot: Plot, path: Path) -> None:
    """Write one plot as an SVG file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(STYLE):
        canvas = Canvas(figsize=INCHES, layout="constrained")
        axes = canvas.subplots()
        KINDS[plot.kind](axes, plot)
        axes.set_title(plot.title, loc="left", fontsize=12, fontweight="bold")
        axes.set_xlabel(plot.x_label)
        axes.set_ylabel(plot.y_label)
        axes.grid(axis="y" if plot.kind in ("bars", "stacked") else "both", color="#e9ecef")
        if plot.log_x:
            axes.set_xscale("log")
            _plain_numbers(axes.xaxis)
        if plot.log_y:
            axes.set_yscale("log")
            _plain_numbers(axes.yaxis)
        if len(plot.series) > 1:
            columns = min(len(plot.series), LEGEND_COLUMNS)
            canvas.legend(loc="outside lower center", ncols=columns, frameon=False)
        canvas.savefig(path, format="svg", metadata={"Date": None})


def _bars(axes: Any, plot: Plot) -> None:
    names, count = plot.series[0].x, len(plot.series)
    width = BAR_SHARE / count
    for i, series in enumerate(plot.series):
        middles = np.arange(len(names)) + (i - (count - 1) / 2) * width
        bars = axes.bar(
            middles, series.y, width, yerr=_errors(series), label=series.label, color=COLOURS[i]
        )
        axes.bar_label(bars, fmt=_short, padding=2, fontsize=8)
    axes.set_xticks(np.arange(len(names)), names)
    axes.margins(y=0.12)
    _tell_apart(axes, plot)


def _stacked(axes: Any, plot: Plot) -> None:
    names = plot.series[0].x
    below = np.zeros(len(names))
    for i, series in enumerate(plot.series):
        axes.bar(names, series.y, BAR_SHARE, bottom=below, label=series.label, color=COLOURS[i])
        below += np.asarray(series.y)
    for name, height in zip(names, below, strict=True):
        axes.annotate(
            _short(height), (name, height), (0, 2), textcoords="offset points", ha="center"
        )
    axes.set_ylim(0, 1.12 * below.max())
    _tell_apart(axes, plot)


def _tell_apart(axes: Any, plot: Plot) -> None:
    """Turn the names under bars where they would run into one another."""
    lines = [line for name in plot.series[0].x for line in str(name).splitlines()]
    if max(map(len, lines)) * len(plot.series[0].x) > LABEL_ROOM:
        axes.tick_params(axis="x", rotation=30)
        for label in axes.get_xticklabels():
            label.set_ha("right")
            label.set_rotation_mode("anchor")


def _lines(axes: Any, plot: Plot) -> None:
    for i, series in enumerate(plot.series):
        axes.errorbar(
            series.x,
            series.y,
            yerr=_errors(series),
            label=series.label,
            color=COLOURS[i],
            marker="o",
            markersize=4,
        )


def _points(axes: Any, plot: Plot) -> None:
    for i, series in enumerate(plot.series):
        axes.scatter(series.x, series.y, label=series.label, color=COLOURS[i], s=18, alpha=0.8)
    if plot.diagonal:
        ends = [edge(s.x + s.y) for edge in (min, max) for s in plot.series]
        axes.axline((min(ends), min(ends)), (max(ends), max(ends)), color="#868e96", zorder=0)


KINDS: Mapping[str, Callable[[Any, Plot], None]] = {
    "bars": _bars,
    "stacked": _stacked,
    "lines": _lines,
    "points": _points,
}


def _plain_numbers(axis: Any) -> None:
    """100 and not a power of ten; between them only where there is room."""
    axis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axis.set_minor_formatter(LogFormatter(labelOnlyBase=False, minor_thresholds=(1, 0.4)))


def _errors(series: Series) -> Any:
    """Lengths of the error bars below and above, as matplotlib wants them."""
    if series.low is None or series.high is None:
        return None
    middle = np.asarray(series.y)
    return np.maximum([middle - series.low, np.asarray(series.high) - middle], 0)


def _short(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
