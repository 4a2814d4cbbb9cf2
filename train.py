"""Command: train the network on colour photographs; writes checkpoints, a log and progress.png."""

import argparse
import copy
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from threading import RLock
from typing import Any

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from colourizer.network.checkpoint import CheckpointError, Network, model_content, save_checkpoint
from colourizer.network.device import autocast, pick_device
from colourizer.network.pretrained import WeightsError
from colourizer.runtime.atomic_file import discard_part_files, remove_leftovers
from colourizer.runtime.cli import (
    PATIENCE,
    Interrupt,
    print_error,
    print_note,
    print_result,
    progress,
    run_command,
    output_only_if,
)
from colourizer.runtime.process import keep_freed_memory
from colourizer.training.crops import Order, pair
from colourizer.training.data import VALIDATION_SIDE, Gathered, bin_shares, gather
from colourizer.training.distributed import Team, sync_batch_norm, team_of
from colourizer.training.losses import loss_of
from colourizer.training.options import build_network, parse_args, shareable
from colourizer.training.report import describe_end, print_diverged, report
from colourizer.training.run_folder import BEST, TENSORBOARD, holds_run, save_last, write_settings
from colourizer.training.schedule import (
    MEASURED_FROM,
    MEASURED_TO,
    Schedule,
    duration,
    learning_rate,
)
from colourizer.training.shards import ShardsError
from colourizer.training.tensorboard import open_log, why_no_log
from colourizer.training.validation import knows_likelihoods, validate
from Model_CNN import Model_CNN

EMA_DECAY = 0.999  # of the averaged weights, per step
CROP_ROOM = 1.25  # photographs are kept so much larger than the crops out of them
# Between two looks at the photographs that are held out; an epoch of few photographs has fewer.
REPORT_STEPS = 50
MISJUDGED = 0.25  # by so much an estimate has to be wrong to be corrected
LOADER_PROCESSES = 8  # beside a GPU; on the CPU the network needs every core itself


@torch.no_grad()
def update_ema(ema: Network, model: Network, step: int) -> None:
    """Move the averaged weights towards the current ones; quickly in the first steps."""
    decay = min(EMA_DECAY, (1 + step) / (10 + step))
    averaged, current = list(ema.state_dict().values()), list(model.state_dict().values())
    for mean, value in zip(averaged, current, strict=True):
        if not value.is_floating_point():  # batch norm's counter
            mean.copy_(value)
    means, values = ([t for t in all_of if t.is_floating_point()] for all_of in (averaged, current))
    torch._foreach_lerp_(means, values, 1 - decay)  # all in one, as torch.optim.swa_utils does


def train(
    args: argparse.Namespace,
    data: Gathered,
    model: Network,
    saved: dict[str, Any],
    team: Team,
    interrupt: Interrupt,
    saving: AbstractContextManager,
) -> int:
    """Train, epoch by epoch.

    Args:
        args: the command line.
        data: the photographs.
        model: the network to begin with; in a resumed run, the averaged one.
        saved: the checkpoint of a resumed run.
        team: the processes that train it together.
        interrupt: asked after every step.
        saving: held while last.pt is written; may be held twice.

    Returns:
        The exit code.
    """
    run, device, is_first = Path(args.output), team.device, team.rank == 0
    if device.type == "cpu":
        keep_freed_memory()

    # The network, its averaged copy, the optimizer, and how far they are.
    model = model.to(device).to(memory_format=torch.channels_last)
    ema = copy.deepcopy(model).requires_grad_(False).eval()
    network: Callable[[Tensor], Tensor] = model
    if team.count > 1:
        sync_batch_norm(model, device)
        network = DistributedDataParallel(model)
    if args.compile:
        network = torch.compile(network)
    parameters = [p for p in model.parameters() if p.requires_grad]
    rates = {"lr": args.learning_rate, "weight_decay": args.weight_decay}
    optimizer = torch.optim.Adam(parameters, **rates, fused=True)
    state: dict[str, Any] = {"epoch": 0, "batch": 0, "step": 0, "images": 0, "seconds": 0.0}
    # Since the last report: losses, and seconds that the steps took.
    state |= {"losses": [], "busy": 0.0}
    state |= {"log": [], "strip": [], "best_look": [], "photographs": data.fingerprint()}
    if resumed := "state" in saved:
        if saved["state"]["photographs"] != state["photographs"]:
            hint = f"for other photographs begin a run with --start-from {run / BEST}"
            print_error(f"{run}: was trained on other photographs than are there now", hint)
            return 2
        model.load_state_dict(saved["training"])
        optimizer.load_state_dict(saved["optimizer"])
        state |= {name: value for name, value in saved["state"].items() if name in state}

    batch_size, photos = args.batch_size, len(data.train)
    steps = len(Order(batch_size, args.seed, epoch=0, parts=team.count).starts(photos))
    seconds = args.minutes * 60 if args.minutes else math.inf
    schedule = Schedule(args.epochs or math.inf, steps, seconds)
    first_step, begun = state["step"], time.monotonic() - state["seconds"]
    saved_at = measured_at = time.monotonic()
    estimated = 0.0  # seconds that a step takes, as was said last
    writer = open_log(run / TENSORBOARD) if args.tensorboard and is_first else None

    def save() -> None:
        if is_first:
            content = model_content(ema, half=False) | {"training": model.state_dict()}
            content |= {"optimizer": optimizer.state_dict(), "state": state}
            with saving:
                save_last(run, content)

    def save_best(row: dict[str, Any]) -> None:
        about = {"options": shareable(args), "photographs": data.by_folder(), "scores": row}
        save_checkpoint(run / BEST, model_content(ema, half=True) | {"about": about})

    def stop(code: float) -> int:
        save()
        if is_first:
            print_note(f"stopped in epoch {state['epoch'] + 1}, saved")
            print_note(f"hint: python train.py --resume {run} goes on with it")
        return int(code)

    def share_done() -> float:
        return schedule.done(state["step"], state["seconds"])

    def crop_size() -> int:
        final = args.final_size and schedule.is_final(state["step"], state["seconds"])
        return args.final_size if final else args.size

    def out_of_time() -> bool:
        return state["seconds"] > schedule.seconds

    if args.start_from and not resumed and is_first:
        validation = validate(ema, data.validation, device, args.loss, lambda: False)
        nothing = {"loss": None, "images_per_s": None, "learning_rate": None}
        if validation:
            report(run, state, nothing, validation, save_best, writer)
    if not resumed:
        save()
    # Also if a run was stopped when its time was over, but not looked at yet.
    while state["losses"] or (state["epoch"] < schedule.epochs and not out_of_time()):
        size = crop_size()
        order = Order(batch_size, args.seed, state["epoch"], state["batch"], team.rank, team.count)
        workers = LOADER_PROCESSES if device.type == "cuda" else 0
        loader = data.batches(size, args.aged, order, workers)
        title = f"epoch {state['epoch'] + 1}" + (f"/{args.epochs}" if args.epochs else "")
        bar = progress(loader, title, unit="batch", shown=is_first)
        model.train()
        step_begun = time.monotonic()
        for batch in bar:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(args.learning_rate, share_done())

            on_device = batch.to(device)
            lightness, ab = pair(on_device)  # (B, 1, S, S), (B, 2, S, S)
            with autocast(device):
                output = network(lightness)  # logits (B, K, S/4, S/4)
            loss = loss_of(model, output, on_device.rgb, ab, args.loss)
            # The mean over all crops of the batch, in however many processes they are: of the
            # processes' gradients the plain mean is taken.
            crops = min(batch_size, photos - state["batch"] * batch_size)
            optimizer.zero_grad()
            (loss * (len(batch.rgb) * team.count / crops)).backward()
            optimizer.step()
            update_ema(ema, model, state["step"])

            own_loss = loss.item()
            (loss_sum,) = team.add_up(own_loss * len(batch.rgb))
            if not math.isfinite(loss_sum):
                bar.close()
                if not math.isfinite(own_loss):
                    print_diverged(run, [data.names[number] for number in batch.numbers])
                return 1
            state["losses"].append(loss_sum / crops)
            state["batch"] += 1
            state["step"] += 1
            state["images"] += crops
            now = time.monotonic()
            state["busy"] += now - step_begun
            step_begun = now
            state["seconds"], code = team.largest(now - begun, interrupt.exit_code)
            if state["step"] - first_step == MEASURED_FROM:
                measured_at = now
            if state["step"] - first_step == MEASURED_TO and is_first:
                step_seconds = (now - measured_at) / (MEASURED_TO - MEASURED_FROM)
                print_result(schedule.estimate(step_seconds))
                estimated = step_seconds
            left = (1 / share_done() - 1) * state["seconds"]
            rate = len(state["losses"]) * batch_size / state["busy"]
            bar.set_postfix_str(
                f"loss {state['losses'][-1]:.3f}, {rate:.0f} images/s, {duration(left)} left"
            )
            if code and not out_of_time():
                bar.close()
                return stop(code)
            if out_of_time() or crop_size() != size:
                bar.close()
                break
            if now - saved_at > 60 * args.save_minutes:
                save()
                saved_at = time.monotonic()

        if state["batch"] < steps and not out_of_time():
            continue  # the epoch goes on with larger crops

        # The end of an epoch. If enough was learnt since the last time: how good is it now?
        over = state["epoch"] + 1 == schedule.epochs or out_of_time()
        if state["losses"] and (len(state["losses"]) >= REPORT_STEPS or over):
            validation = None
            if is_first:
                asked = (ema, data.validation, device, args.loss)
                validation = validate(*asked, lambda: interrupt.exit_code)
            # What is no number here is none in the others either: they take the first one's word.
            wrong = validation and not math.isfinite(validation.figures["ab_error"])
            code, all_wrong = team.largest(interrupt.exit_code, bool(wrong))
            if all_wrong:
                print_diverged(run, [])
                return 1
            if code:
                return stop(code)  # --resume begins with the look
            state |= {"epoch": state["epoch"] + 1, "batch": 0}
            if validation:
                if isinstance(ema, Model_CNN):
                    likelihoods = knows_likelihoods(validation.figures)
                    ema.config = replace(ema.config, likelihoods=likelihoods)
                figures = {
                    "loss": round(sum(state["losses"]) / len(state["losses"]), 5),
                    "images_per_s": round(len(state["losses"]) * batch_size / state["busy"], 1),
                    "learning_rate": optimizer.param_groups[0]["lr"],
                }
                report(run, state, figures, validation, save_best, writer)
                step_seconds = state["busy"] / len(state["losses"])
                if estimated and not over and abs(step_seconds / estimated - 1) > MISJUDGED:
                    print_result(f"measured anew: {schedule.estimate(step_seconds)}")
                    estimated = step_seconds
            state |= {"losses": [], "busy": 0.0}
            save()
            saved_at = time.monotonic()
        else:
            state |= {"epoch": state["epoch"] + 1, "batch": 0}
    if writer:
        writer.close()
    if is_first and state["log"]:
        describe_end(run, state["log"])
    return 0


def gather_data(args: argparse.Namespace, team: Team) -> Gathered:
    """Read the photographs; the first process of each machine fills the cache for the others."""
    validation = Path(args.validation) if args.validation else None
    largest = max(args.size, args.final_size or 0)
    side = max(VALIDATION_SIDE, round(CROP_ROOM * largest))
    cache = Path(args.cache) if args.cache else None
    with team.ahead(), output_only_if(team.rank == 0):
        return gather([Path(folder) for folder in args.photos], validation, side, cache)


def describe_data(args: argparse.Namespace, data: Gathered) -> None:
    """Say what is trained on, and what is not."""
    left_out = ", ".join(f"{n} {why}" for why, n in sorted(data.rejected.items())) or "none"
    counts = f"{len(data.train)} photographs to train on, {len(data.validation)} held out"
    reused = f"; {data.reused} were in {args.cache} already" if args.cache else ""
    print_result(f"{counts}; left out: {left_out}{reused}")


def run_in_team(args: argparse.Namespace, team: Team) -> int:
    """Train as one of the processes that do so together; return the exit code."""
    run = Path(args.output)
    try:
        with team.ahead(), output_only_if(team.rank == 0):
            model, saved = build_network(args)
        data = gather_data(args, team)
    except (CheckpointError, WeightsError, ShardsError) as error:
        print_error(error)
        return 2
    except OSError as error:  # a rejected.txt that may not be read
        print_error(f"{error.filename}: {error.strerror}")
        return 1
    if team.rank == 0:
        describe_data(args, data)
    least = max(2, team.count)
    if len(data.train) < least or not len(data.validation):
        print_error(f"too few photographs: it takes {least} to train on and 1 to validate on")
        return 1
    settings = {"options": vars(args), "photographs": len(data.train), "torch": torch.__version__}
    saving = RLock()

    def give_up() -> None:
        with saving:  # what is being saved is saved first
            discard_part_files()
        what = f"python train.py --resume {run} goes on from what was last saved"
        print_note(f"stopped within a step; {what}")

    try:
        if isinstance(model, Model_CNN) and not saved:  # else it knows them
            model.bin_shares.copy_(bin_shares(data.train, model.bin_centres))
        if team.rank == 0:
            remove_leftovers([run])  # of saves that a kill has cut short
            write_settings(run, settings)
        with Interrupt(PATIENCE, give_up) as interrupt:
            return train(args, data, model, saved, team, interrupt, saving)
    except ShardsError as error:
        print_error(error)
        return 1
    except OSError as error:  # a full disk, a folder that may not be written to
        print_error(f"{run}: {error.strerror or error}")
        return 1


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = parse_args(argv)
    run = Path(args.output)
    for folder in [*args.photos, *([args.validation] if args.validation else [])]:
        if not Path(folder).is_dir():
            print_error(f"{folder}: no such folder", "python train.py FOLDER_OF_COLOUR_PHOTOS")
            return 2
    if not args.resume and holds_run(run):
        hint = f"--resume {run} goes on with it, -o DIR begins another"
        print_error(f"{run}: holds a run already; nothing was overwritten", hint)
        return 2
    if args.tensorboard and (problem := why_no_log()):
        print_error(f"--tensorboard: {problem}", "pip install tensorboard")
        return 2
    with team_of(pick_device(args.device)) as team:
        return run_in_team(args, team)


if __name__ == "__main__":
    run_command(main)
