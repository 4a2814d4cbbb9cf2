"""Plots of training runs with matplotlib: progress.png, and the comparison of several runs."""

import math
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from colourizer.runtime.atomic_file import write_atomically
from colourizer.runtime.process import ignore_notebook_backend
from colourizer.training.run_folder import Log
from colourizer.training.validation import Validation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, FigureBase

WIDTH, CURVES_HEIGHT, TITLE_HEIGHT = 12.0, 4.6, 0.75  # inches
MAX_TILE = 1.7  # inches, of a photograph
MAX_COLUMNS = 12  # of pictures; as many blocks of them as fit are put beside each other
DPI = 100
GAP = 2  # pixels around each picture of a photograph
MAX_MARKERS = 30  # rows of a log: with more of them the curves have no markers
TEXT, BASELINE, GRID = "#333333", "#8a8a8a", "#e4e4e4"
HUES = ("#c2410c", "#0f766e", "#4338ca", "#a16207", "#be185d", "#1d4ed8", "#4d7c0f", "#6b21a8")

# The panels: name in the log -> (title, unit, name or value of the baseline, its label).
CURVES: dict[str, tuple[str, str, str | float | None, str]] = {
    "loss": ("loss", "", None, ""),
    "ab_error": (
        "ab error, held out",
        "Lab units; lower is better",
        "grey_ab_error",
        "grey photograph",
    ),
    "colourfulness_ratio": ("colourfulness, held out", "of the truth's", 1.0, "true photograph"),
    "rgb_psnr": ("RGB-PSNR, held out", "dB; higher is better", "grey_rgb_psnr", "grey photograph"),
    "learning_rate": ("learning rate", "", None, ""),
    "images_per_s": ("speed", "images/s", None, ""),
}


def find_best(log: Log) -> dict[str, Any]:
    """Return the row of the lowest ab error."""
    return min(log, key=lambda row: row["ab_error"])


def _number(row: dict[str, Any], name: str) -> float:
    """Return a figure of a row; NaN, drawn as a gap, if it is missing or was not measured."""
    value = row.get(name)
    return math.nan if value is None else value


def _epoch_name(epoch: float) -> str:
    """Return a moment's name; epoch 0 is the checkpoint that was started from."""
    return f"epoch {epoch:.4g}" if epoch else "before"


def _drawable(name: str) -> str:
    """Return a run's name as matplotlib draws it: no formula between $, nothing hidden by a _."""
    readable = os.fsencode(name).decode(errors="replace").replace("$", r"\$")
    return f" {readable}" if readable.startswith("_") else readable


def _style(axes: "Axes", name: str, logs: Sequence[Log], x: str) -> None:
    """Set a panel's title, baseline and style."""
    title, unit, baseline, label = CURVES[name]
    axes.set_title(f"{title} ({unit})" if unit else title, loc="left", fontsize=10, color=TEXT)
    axes.set_xlabel(x, fontsize=8, color=TEXT)
    axes.tick_params(labelsize=8, colors=TEXT, length=0)
    axes.grid(color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    if baseline is not None:
        # Runs on other photographs have another baseline each.
        levels = {
            _number(log[-1], baseline) if isinstance(baseline, str) else baseline for log in logs
        }
        for level in levels:
            axes.axhline(level, color=BASELINE, ls=(0, (4, 3)), lw=1.2)
            axes.annotate(label, (1, level), xycoords=("axes fraction", "data"),
                xytext=(-2, -10), textcoords="offset points", ha="right", fontsize=8,
                color=BASELINE)  # fmt: skip
    axes.margins(y=0.15)
    if name in ("colourfulness_ratio", "learning_rate", "images_per_s"):
        top = axes.dataLim.y1  # infinite where nothing was measured
        axes.set_ylim(0, 1.15 * top if math.isfinite(top) and top > 0 else 1)


def _plot(axes: "Axes", log: Log, x: str, name: str, colour: str, **options: Any) -> None:
    """Plot a figure of a log over another one, x."""
    marker = "o" if len(log) < MAX_MARKERS else ""
    values = [_number(row, name) for row in log]
    at = [row[x] for row in log]
    axes.plot(at, values, color=colour, lw=1.8, marker=marker, ms=3.5, **options)


def draw_curves(figure: "FigureBase", logs: dict[str, Log], x: str) -> None:
    """Draw the panels of CURVES, each run in a colour of its own.

    Args:
        figure: to draw on.
        logs: the run's name -> its log, a row for each validation.
        x: the x axis: epoch, images or seconds.
    """
    seen = [row[x] for log in logs.values() for row in log]
    margin = 0.03 * (max(seen) - min(seen)) or 0.5
    widest = (min(seen) - margin, max(seen) + margin)
    for axes, name in zip(figure.subplots(2, 3).flat, CURVES, strict=True):
        for number, (run, log) in enumerate(logs.items()):
            colour = HUES[number % len(HUES)]
            _plot(axes, log, x, name, colour, label=_drawable(run))
            if name == "loss":
                _plot(axes, log, x, "validation_loss", colour, ls=(0, (1, 1)))
        _style(axes, name, list(logs.values()), x)
        if name == "loss":
            axes.set_title("loss: trained on, dotted: held out", loc="left", fontsize=10)
        if len(logs) > 1 and name == "ab_error":
            axes.legend(frameon=False, fontsize=8)
        if name == "ab_error":
            for log in logs.values():
                best = find_best(log)
                axes.plot(best[x], best[name], marker="*", ms=11, color=TEXT, zorder=3)
        axes.set_xlim(*widest)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.ticklabel_format(style="sci", scilimits=(-3, 4), useMathText=True)


def _draw_strip(figure: "FigureBase", columns: list[tuple[str, Tensor]], rows: int) -> None:
    """Draw pictures, a row for each photograph, in blocks of rows beside each other.

    Args:
        figure: to draw on.
        columns: titles and pictures, (P, 3, H, W) uint8.
        rows: of a block.
    """
    pictures = torch.stack([column for _, column in columns], dim=1)  # (P, C, 3, H, W)
    pictures = F.pad(pictures, (GAP, GAP, GAP, GAP), value=255)
    blocks, width = pictures.split(rows), pictures.shape[-1]
    panels = figure.subplots(1, len(blocks), squeeze=False)[0]
    # A block is one image: matplotlib takes long for each panel.
    for axes, block in zip(panels, blocks, strict=True):
        empty = torch.full((rows - len(block), *block.shape[1:]), 255, dtype=torch.uint8)
        grid = torch.cat((block, empty)).permute(0, 3, 1, 4, 2)  # (rows, H, C, W, 3)
        axes.imshow(grid.reshape(rows * grid.shape[1], -1, 3).numpy())
        axes.set_axis_off()
        for column, (title, _) in enumerate(columns):
            at = ((column + 0.5) * width, -GAP)
            axes.text(*at, title, ha="center", va="bottom", fontsize=9, color=TEXT)


def _write(figure: "Figure", path: Path) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # in a name: a box is drawn for it
        write_atomically(path, lambda file: figure.savefig(file, format="png", dpi=DPI))


def _new_figure(height: float) -> "Figure":
    ignore_notebook_backend()
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0.01, hspace=0.01)
    return Figure(figsize=(WIDTH, height), layout=layout, facecolor="white")


def draw_progress(
    path: Path, log: Log, strip: list[tuple[float, Tensor]], validation: Validation
) -> None:
    """Draw progress.png: figures above, photographs that are held out below, epoch after epoch.

    Args:
        path: the file to write.
        log: a row for each validation; of epoch 0, before training, what was not measured is
            None.
        strip: epochs of some validations, and what was predicted: (P, 3, H, W) uint8.
        validation: the last one.
    """
    best = find_best(log)
    shown = dict(strip) | {log[-1]["epoch"]: validation.predicted}
    columns = [("grey", validation.grey)]
    for epoch in sorted(shown):
        name = f"{_epoch_name(epoch)} (best)" if epoch == best["epoch"] else _epoch_name(epoch)
        columns.append((name, shown[epoch]))
    columns.append(("true", validation.true))
    photos = len(validation.grey)
    blocks = min(photos, max(1, MAX_COLUMNS // len(columns)))
    rows = -(-photos // blocks)
    blocks = -(-photos // rows)
    tile = min(WIDTH / (blocks * len(columns)), MAX_TILE)
    heights = [TITLE_HEIGHT, CURVES_HEIGHT, rows * tile + 0.3]
    figure = _new_figure(sum(heights))
    parts = figure.subfigures(3, 1, squeeze=False, height_ratios=heights)
    title, curves, pictures = parts[:, 0]
    title.text(
        0.012, 0.62, _drawable(path.resolve().parent.name), fontsize=17, weight="bold", color=TEXT
    )
    title.text(
        0.012, 0.18,
        f"best: {_epoch_name(best['epoch'])}, ab error {best['ab_error']:.2f} "
        f"(grey photograph {best['grey_ab_error']:.2f}), "
        f"{best['colourfulness_ratio']:.0%} as colourful as the truth",
        fontsize=10, color=TEXT,
    )  # fmt: skip
    draw_curves(curves, {"": log}, "epoch")
    _draw_strip(pictures, columns, rows)
    _write(figure, path)


def draw_comparison(path: Path, logs: dict[str, Log], x: str) -> None:
    """Write the curves of several runs; arguments as for `draw_curves`."""
    figure = _new_figure(1.35 * CURVES_HEIGHT)
    draw_curves(figure, logs, x)
    _write(figure, path)
