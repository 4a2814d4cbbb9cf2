"""The state of a training run: networks, optimizer and progress, as stored in last.pt."""

import copy
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from colourizer.network.checkpoint import (
    CheckpointError,
    Network,
    build_model,
    load_checkpoint,
    load_encoder_weights,
    model_content,
)
from colourizer.network.classic_cnn import ClassicCNN
from colourizer.training.muon import Muon, hidden_matrices
from colourizer.training.options import BEST_RECIPE, TrainOptions
from colourizer.training.run_folder import Log, load_last, saved_any
from colourizer.training.validation import Validation
from Model_CNN import Model_CNN, ModelConfig

EMA_DECAY = 0.999  # per step
# What last.pt has under "state", by the names of the fields below.
PROGRESS = (
    "epoch", "batch", "step", "images", "seconds", "losses", "busy", "log", "strip", "best_look",
    "photographs", "colourfulness",
)  # fmt: skip


@dataclass
class TrainState:
    """All that changes while a run trains, and that a resumed run goes on from, bit for bit.

    model: the network that is trained.
    ema: the exponential moving average of its weights: what is validated and saved.
    optimizer: the model's.
    photographs: fingerprint of the training set.
    epoch: how many are complete.
    batch: how many batches of the current epoch are done.
    step, images: how many optimizer steps were taken, and on how many crops.
    seconds: how long the run has taken.
    losses: of each step since the last report.
    busy: seconds that these steps took.
    log: the rows of log.jsonl.
    strip: pictures of some validations, for progress.png: [epoch, (P, 3, H, W) uint8] each.
    best_look: the same of the best validation.
    colourfulness: the least that is kept in fine-tuning, of photographs that are held out, at the
        default vividness; 0 keeps none.
    resumed: whether it was loaded from last.pt.
    drawn: the run's seconds when this process last drew progress.png.
    undrawn: the last validation, until progress.png has it.
    """

    model: Network
    ema: Network
    optimizer: torch.optim.Optimizer
    photographs: str
    epoch: int = 0
    batch: int = 0
    step: int = 0
    images: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    busy: float = 0.0
    log: Log = field(default_factory=list)
    strip: list[Any] = field(default_factory=list)
    best_look: list[Any] = field(default_factory=list)
    colourfulness: float = 0.0
    resumed: bool = False
    drawn: float = -math.inf
    undrawn: Validation | None = None

    def add_step(self, loss: float, crops: int, seconds: float) -> None:
        """Count a step.

        Args:
            loss: mean over its crops.
            crops: how many, in all processes.
            seconds: how long it took.
        """
        self.losses.append(loss)
        self.batch += 1
        self.step += 1
        self.images += crops
        self.busy += seconds

    def end_epoch(self) -> None:
        """Count an epoch."""
        self.epoch, self.batch = self.epoch + 1, 0

    def state_dict(self) -> dict[str, Any]:
        """Return the content of last.pt, a checkpoint of the averaged network."""
        content = model_content(self.ema, half=False) | {"training": self.model.state_dict()}
        progress = {name: getattr(self, name) for name in PROGRESS}
        return content | {"optimizer": self.optimizer.state_dict(), "state": progress}

    def load_state_dict(self, content: dict[str, Any]) -> None:
        """Go on from the content of last.pt; `ema` was built of it already."""
        self.model.load_state_dict(content["training"])
        self.optimizer.load_state_dict(content["optimizer"])
        for name in PROGRESS:
            if name in content["state"]:
                setattr(self, name, content["state"][name])
        self.resumed = True


def build_network(options: TrainOptions) -> tuple[Network, dict[str, Any]]:
    """Return the network that the options ask for, with the weights that it starts from.

    Returns:
        The network; and the checkpoint that it was built from, with the run's state if that run is
        resumed, empty if there is none.

    Raises:
        CheckpointError, WeightsError: they cannot be used.
    """
    torch.manual_seed(options.seed)
    content: dict[str, Any] = {}
    model: Network
    if options.resume and saved_any(Path(options.resume)):
        path, content = load_last(Path(options.resume))
        model = build_model(content, path)
    elif options.start_from:
        path = Path(options.start_from)
        content = load_checkpoint(path)
        content.pop("state", None)  # of the run that it comes from
        model = build_model(content, path)
        if options.recipe == BEST_RECIPE and isinstance(model, Model_CNN):
            model = add_missing_parts(model)
    elif options.model == "classic":
        model = ClassicCNN()
    else:
        model = Model_CNN(ModelConfig(encoder=options.encoder or ModelConfig().encoder))
        if options.init_encoder:
            load_encoder_weights(model, options.init_encoder)
    if isinstance(model, Model_CNN):
        model.freeze_encoder(options.freeze_encoder)
        if options.freeze_norm:
            model.freeze_norm()
    elif options.start_from and (options.loss != "l1" or options.consistency):
        hint = "start from a checkpoint of Model_CNN, or leave --loss and --consistency out"
        what = "its network is trained with L1 between RGB and RGB only"
        raise CheckpointError(Path(options.start_from), what, hint)
    return model, content


def add_missing_parts(model: Model_CNN) -> Model_CNN:
    """Return a network of an earlier version with the parts that have been added to it since.

    It is self-attention; to begin with it changes no output.
    """
    blocks = max(model.config.attention_blocks, ModelConfig().attention_blocks)
    extended = Model_CNN(replace(model.config, attention_blocks=blocks)).eval()
    extended.load_state_dict(extended.state_dict() | model.state_dict())
    return extended


def new_state(
    model: Network, device: torch.device, options: TrainOptions, photographs: str
) -> TrainState:
    """Return the state before the first step.

    Args:
        model: the network to begin with; is moved to the device.
        device: what to compute on.
        options: the command line's.
        photographs: fingerprint of the training set.
    """
    model = model.to(device).to(memory_format=torch.channels_last)
    ema = copy.deepcopy(model).requires_grad_(False).eval()
    return TrainState(model, ema, make_optimizer(model, options), photographs)


def make_optimizer(model: Network, options: TrainOptions) -> torch.optim.Optimizer:
    """Return the optimizer that the options ask for, of all parameters that are not frozen."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    rate, decay = options.learning_rate, options.weight_decay
    if options.optimizer == "adam" or not isinstance(model, Model_CNN):
        return torch.optim.Adam(parameters, lr=rate, weight_decay=decay, fused=True)
    matrices = hidden_matrices(model, model.head)
    among = {id(parameter) for parameter in matrices}
    return Muon(matrices, [p for p in parameters if id(p) not in among], rate, decay)


@torch.no_grad()
def update_ema(ema: Network, model: Network, step: int) -> None:
    """Update the exponential moving average of the weights; its decay is lower in early steps."""
    decay = min(EMA_DECAY, (1 + step) / (10 + step))
    averaged, current = list(ema.state_dict().values()), list(model.state_dict().values())
    for mean, value in zip(averaged, current, strict=True):
        if not value.is_floating_point():  # batch norm's counter
            mean.copy_(value)
    means, values = ([t for t in all_of if t.is_floating_point()] for all_of in (averaged, current))
    torch._foreach_lerp_(means, values, 1 - decay)  # all in one, as torch.optim.swa_utils does
