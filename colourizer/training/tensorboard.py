"""A training run's figures and pictures for TensorBoard, where it is installed."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from colourizer.training.validation import Validation

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


def why_unavailable() -> str:
    """Return what is missing; nothing if TensorBoard is installed."""
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError:
        return "TensorBoard is not installed"
    return ""


def open_writer(folder: Path) -> "SummaryWriter":
    """Return a SummaryWriter for a folder that need not be there yet."""
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder))


def write_row(writer: "SummaryWriter", row: dict[str, Any], validation: Validation) -> None:
    """Write the figures and pictures of a validation.

    Args:
        writer: from `open_writer`.
        row: of the run's log.
        validation: has the pictures.
    """
    for name, value in row.items():
        if value is not None:
            writer.add_scalar(name, value, row["images"])
    columns = (validation.grey, validation.predicted, validation.true)  # each (P, 3, H, W)
    pictures = torch.cat(columns, dim=-1)  # (P, 3, H, 3 W)
    writer.add_images("grey, predicted, true", pictures, row["images"])
    writer.flush()
