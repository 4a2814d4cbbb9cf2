"""The picture of a training run: how the figures went, and what the network sees."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from photo import write_whole

_ROWS = ("grey", "predicted", "true")  # below the curves
WIDTH, CURVES_HEIGHT = 12.0, 3.4  # inches
LEAST_COLUMNS = 4  # of pictures: fewer would be huge


def draw_progress(
    path: Path,
    log: list[dict[str, Any]],
    pictures: list[tuple[np.ndarray, ...]],
    before: list[np.ndarray],
) -> None:
    """Draw progress.png: curves above, validation photographs as grey, predicted, true below.

    Args:
        path: the file to write.
        log: a dict per epoch: epoch, loss, ab_error, grey_ab_error, colourfulness_ratio; the loss
            of epoch 0, before training, is None.
        pictures: (grey, predicted, true) per photograph, each (H, W, 3) uint8.
        before: how the network that was started from predicted them; empty where there was none.
    """
    rows = {name: [triple[i] for triple in pictures] for i, name in enumerate(_ROWS)}
    if before:
        rows = {"grey": rows["grey"], "before": before, **rows}
    epochs = [row["epoch"] for row in log]
    columns = max(len(pictures), LEAST_COLUMNS)
    tile = WIDTH / columns
    heights = [CURVES_HEIGHT, len(rows) * tile] if pictures else [CURVES_HEIGHT]
    figure = Figure(
        figsize=(WIDTH, sum(heights)),
        layout=ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0, hspace=0),
    )
    upper, *lower = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    curves, error, colour = upper.subplots(1, 3)
    marker = "o" if len(log) < 30 else ""
    losses = [math.nan if row["loss"] is None else row["loss"] for row in log]
    curves.plot(epochs, losses, marker=marker, ms=3)
    curves.set(title="training loss", xlabel="epoch")
    error.plot(epochs, [row["ab_error"] for row in log], marker=marker, ms=3, label="network")
    error.axhline(log[-1]["grey_ab_error"], color="grey", ls="--", label="grey photograph")
    error.set(title="validation: ab error (Lab units)", xlabel="epoch")
    error.legend(frameon=False)
    ratio = [row["colourfulness_ratio"] for row in log]
    colour.plot(epochs, ratio, marker=marker, ms=3, color="tab:orange", label="network")
    colour.axhline(1, color="grey", ls="--", label="true photograph")
    colour.set(title="validation: colourfulness ratio", xlabel="epoch", ylim=(0, None))
    colour.legend(frameon=False)
    for axes in (curves, error, colour):
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.get_major_locator().set_params(integer=True)
    if pictures:
        axes = lower[0].subplots(len(rows), columns, squeeze=False)
        for unused in axes[:, len(pictures) :].flat:
            unused.set_visible(False)
        for row, (name, images) in enumerate(rows.items()):
            for column, image in enumerate(images):
                axes[row, column].imshow(image)
                axes[row, column].set(xticks=[], yticks=[])
                axes[row, column].spines[:].set_visible(False)
            axes[row, 0].set_ylabel(name)
    write_whole(path, lambda file: figure.savefig(file, format="png", dpi=90))
