"""A training run's figures and pictures for TensorBoard, where it is installed."""

from pathlib import Path
from typing import Any

import torch

from colourizer.training.validation import Validation


def why_no_log() -> str:
    """Say what is missing; nothing if it is all there."""
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError:
        return "TensorBoard is not installed"
    return ""


def open_log(folder: Path) -> Any:
    """Open a log, a SummaryWriter, in a folder that need not be there yet."""
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder))


def write_row(writer: Any, row: dict[str, Any], validation: Validation) -> None:
    """Write what a look at the photographs that are held out brought.

    Args:
        writer: from `open_log`.
        row: of the run's log.
        validation: its pictures.
    """
    for name, value in row.items():
        if value is not None:
            writer.add_scalar(name, value, row["images"])
    columns = (validation.grey, validation.predicted, validation.true)  # each (P, 3, H, W)
    pictures = torch.cat(columns, dim=-1)  # (P, 3, H, 3 W)
    writer.add_images("grey, predicted, true", pictures, row["images"])
    writer.flush()
