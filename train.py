"""Command: train the network on colour photographs; writes checkpoints, a log and progress.png."""

from colourizer.runtime import early_interrupt  # noqa: F401 - first: the imports take seconds

# isort: split
import copy
import math
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from colourizer.colour.metrics import colourfulness
from colourizer.inference.calibration import DefaultReadout, restore_colourfulness
from colourizer.network.checkpoint import CheckpointError, Network, model_content, save_checkpoint
from colourizer.network.device import (
    autocast,
    is_out_of_memory,
    pick_device,
    why_not_compiled,
)
from colourizer.network.pretrained import WeightsError
from colourizer.photos.files import evenly_spaced
from colourizer.runtime.atomic_file import discard_part_files, remove_leftovers
from colourizer.runtime.cli import (
    UsageError,
    check_folder,
    output_only_if,
    print_error,
    print_note,
    print_result,
    progress,
    run_command,
)
from colourizer.runtime.errors import reason_of
from colourizer.runtime.interrupt import PATIENCE, Interrupt
from colourizer.runtime.process import (
    is_first_of_machine,
    is_started_by_torchrun,
    keep_freed_memory,
)
from colourizer.storage.address import Address, hide_credentials, parse_location
from colourizer.training.batches import EpochConfig
from colourizer.training.criterion import training_loss
from colourizer.training.crops import CropBatch, CropConfig, network_input_and_target
from colourizer.training.data import VALIDATION_SIDE, TrainingSet, bin_shares, read_training_set
from colourizer.training.distributed import (
    ProcessGroup,
    is_lost_process,
    join_process_group,
    parallelize,
    wait_for_end,
)
from colourizer.training.launcher import run_processes
from colourizer.training.losses import consistency_loss
from colourizer.training.options import TrainOptions, parse_args
from colourizer.training.report import (
    add_to_log,
    draw_picture,
    print_diverged,
    print_end,
    print_nothing_left,
    write_report,
)
from colourizer.training.run_folder import (
    BEST,
    TENSORBOARD,
    holds_run,
    lock_run,
    save_last,
    write_settings,
)
from colourizer.training.schedule import (
    DurationEstimate,
    Schedule,
    ValidationTimes,
    format_duration,
    learning_rate,
)
from colourizer.training.shards import ShardsError
from colourizer.training.state import TrainState, build_network, new_state, update_ema
from colourizer.training.stored_shards import fetch_shards
from colourizer.training.tensorboard import open_writer, why_unavailable
from colourizer.training.validation import Validation, likelihoods_beat_shares, validate
from Model_CNN import Model_CNN

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

CROP_MARGIN = 1.25  # photographs are kept larger than their crops, by this factor
# An epoch that ends so many steps after the last validation, or more, ends with one.
REPORT_STEPS = 50
LOADER_PROCESSES = 8  # beside a GPU; on the CPU the network needs every core itself
CALIBRATION_PHOTOS = 20
DIVERGED = 1  # exit code
# Held while last.pt is written; reentrant, since a signal may be handled within.
SAVING = RLock()


@dataclass
class Run:
    """What the functions of a run share.

    options: the command line's.
    data: the photographs.
    state: of a new run or a resumed one.
    schedule: how long it is.
    group: the processes that train together.
    interrupt: is asked after every step.
    writer: for TensorBoard, if that was asked for.
    """

    options: TrainOptions
    data: TrainingSet
    state: TrainState
    schedule: Schedule
    group: ProcessGroup
    interrupt: Interrupt
    writer: "SummaryWriter | None"


def train_step(
    state: TrainState,
    network: Callable[..., Tensor],
    batch: CropBatch,
    options: TrainOptions,
    rate: float,
    weight: float,
) -> float:
    """Take one step of the optimizer, and return the mean loss over the batch.

    Args:
        state: its model, optimizer and averaged weights are changed.
        network: the model, as it is called: perhaps compiled and data-parallel.
        batch: on the network's device.
        options: the command line's.
        rate: the learning rate.
        weight: of the loss; not 1 where processes have parts of a batch of unequal sizes.
    """
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    lightness, ab = network_input_and_target(batch)  # (B, 1, S, S), (B, 2, S, S)
    with autocast(lightness.device):
        output = network(lightness)  # logits (B, K, S/4, S/4), or the original network's rgb
    loss = training_loss(state.model, output, batch.rgb, ab, options.loss)
    if options.consistency:
        loss = loss + options.consistency * consistency_loss(output, batch.aged_index)
    state.optimizer.zero_grad()
    (loss * weight).backward()
    state.optimizer.step()
    update_ema(state.ema, state.model, state.step)
    return loss.item()


def step_in_group(run: Run, network: Callable[..., Tensor], batch: CropBatch, crops: int) -> float:
    """Take a step with all processes; if the loss has become NaN or infinite, print so.

    Args:
        run: its state is changed.
        network: as for `train_step`.
        batch: this process's part of the batch.
        crops: of the whole batch.

    Returns:
        The mean loss over the whole batch.
    """
    options, state = run.options, run.state
    rate = learning_rate(options.learning_rate, run.schedule.done(state.step, state.seconds))
    weight = len(batch.photo_index) * run.group.world_size / crops
    loss = train_step(state, network, batch.to(run.group.device), options, rate, weight)
    (loss_sum,) = run.group.all_reduce_sum(loss * len(batch.photo_index))
    if not math.isfinite(loss):
        paths = run.data.train_paths
        print_diverged(options.run, [paths[index] for index in batch.photo_index])
    return loss_sum / crops


def train(run: Run) -> int:
    """Train until the schedule's end; return the exit code."""
    options, state, schedule, group = run.options, run.state, run.schedule, run.group
    network: Callable[..., Tensor] = parallelize(state.model, group)
    if options.compile:
        network = torch.compile(network)
    estimate = DurationEstimate(schedule)
    # The last validation of a resumed run, or the first step.
    validations = ValidationTimes(
        schedule, state.step - len(state.losses), state.seconds - state.busy
    )
    if not state.resumed:
        begin(run)
    started = saved_at = time.monotonic()
    started -= state.seconds

    def validate_now() -> int:
        before = state.seconds
        code = validate_and_report(run)
        (state.seconds,) = group.all_reduce_max(time.monotonic() - started)
        validations.end(state.step, before, state.seconds)
        if not code:
            save(run)
        return code

    # A resumed run has losses if it was stopped before the validation that ends their epoch.
    while state.losses or not schedule.is_over(state.epoch, state.seconds):
        size = crop_size(run)
        bar = batches_with_progress(run, size)
        state.model.train()
        step_started = time.monotonic()
        for batch in bar:
            if validations.is_due(state.step, state.seconds):
                if code := validate_now():
                    bar.close()
                    return code
                step_started = saved_at = time.monotonic()
            crops = min(options.batch_size, len(run.data.train) - state.batch * options.batch_size)
            loss = step_in_group(run, network, batch, crops)
            if not math.isfinite(loss):
                bar.close()
                return DIVERGED
            now = time.monotonic()
            state.add_step(loss, crops, now - step_started)
            step_started = now
            state.seconds, asked = group.all_reduce_max(now - started, run.interrupt.exit_code)
            text = estimate.after_step(state.seconds - validations.spent)
            if text and group.is_main:
                print_result(text)
            bar.set_postfix_str(describe_step(run))
            out_of_time = schedule.is_out_of_time(state.seconds)
            if out_of_time or asked or crop_size(run) != size:
                bar.close()
                if asked and not out_of_time:
                    return stop(run, asked)
                break
            if now - saved_at > 60 * options.save_minutes:
                save(run)
                saved_at = time.monotonic()

        if state.batch < schedule.steps and not schedule.is_out_of_time(state.seconds):
            continue  # the same epoch, with crops of --final-size
        is_last = schedule.is_over(state.epoch + 1, state.seconds)
        is_due = len(state.losses) >= REPORT_STEPS and validations.is_affordable(state.seconds)
        if not state.losses or not (is_due or is_last):
            state.end_epoch()
            continue
        step_seconds = state.busy / len(state.losses)
        if code := validate_now():
            return code
        saved_at = time.monotonic()
        if group.is_main and not is_last and (text := estimate.correct(step_seconds)):
            print_result(text)
    if group.is_main and state.log:
        draw_picture(options.run, state)
        print_end(options.run, state.log)
    return 0


def make_schedule(options: TrainOptions, data: TrainingSet, group: ProcessGroup) -> Schedule:
    """Return how long the run is."""
    epoch = EpochConfig(options.batch_size, options.seed, epoch=0, world_size=group.world_size)
    steps = len(epoch.batch_starts(len(data.train)))
    seconds = options.minutes * 60 if options.minutes else math.inf
    return Schedule(options.epochs or math.inf, steps, seconds)


def crop_size(run: Run) -> int:
    """Return the side of the next crops, in pixels."""
    options, state = run.options, run.state
    is_final = options.final_size and run.schedule.is_final_part(state.step, state.seconds)
    return options.final_size if options.final_size and is_final else options.size


def batches_with_progress(run: Run, size: int) -> Any:
    """Return the batches that are left of the epoch, as a progress bar (tqdm)."""
    options, state, group = run.options, run.state, run.group
    epoch = EpochConfig(
        options.batch_size,
        options.seed,
        state.epoch,
        first_batch=state.batch,
        rank=group.rank,
        world_size=group.world_size,
    )
    workers = LOADER_PROCESSES if group.device.type == "cuda" else 0
    paired = options.consistency > 0
    crops = CropConfig(size, options.aged, options.min_area, paired)
    loader = run.data.batches(crops, epoch, workers)
    title = f"epoch {state.epoch + 1}" + (f"/{options.epochs}" if options.epochs else "")
    return progress(loader, title, unit="batch", shown=group.is_main)


def describe_step(run: Run) -> str:
    """Return the last loss, the speed and the time left, in words."""
    state = run.state
    rate = len(state.losses) * run.options.batch_size / state.busy
    left = (1 / run.schedule.done(state.step, state.seconds) - 1) * state.seconds
    return f"loss {state.losses[-1]:.3f}, {rate:.0f} images/s, {format_duration(left)} left"


def save(run: Run) -> None:
    """Write last.pt."""
    if run.group.is_main:
        with SAVING:
            save_last(run.options.run, run.state.state_dict())


def stop(run: Run, code: float) -> int:
    """Save what --resume goes on from; return the exit code."""
    run.interrupt.wait_longer()
    save(run)
    if run.group.is_main:
        print_note(f"stopped in epoch {run.state.epoch + 1}, saved")
        print_note(f"hint: python train.py --resume {run.options.run} goes on with it")
    return int(code)


def validate_and_report(run: Run) -> int:
    """Validate and report.

    Returns:
        0, or the exit code of a run that ends here.
    """
    state, group, interrupt = run.state, run.group, run.interrupt
    validation = None
    if group.is_main:
        judged = network_to_judge(run)
        arguments = (judged, run.data.validation, group.device, run.options.loss)
        validation = validate(*arguments, lambda: interrupt.exit_code)
    # Only the main process validates; the others learn the result here.
    diverged = validation is not None and not math.isfinite(validation.figures["ab_error"])
    code, any_diverged = group.all_reduce_max(interrupt.exit_code, diverged)
    if any_diverged:
        print_diverged(run.options.run, [])
        return DIVERGED
    if code:
        return stop(run, code)  # --resume begins with the validation
    epoch = state.epoch + state.batch / run.schedule.steps
    if state.batch == run.schedule.steps:
        state.end_epoch()
    if validation:
        if isinstance(state.ema, Model_CNN) and isinstance(judged, Model_CNN):
            likelihoods = likelihoods_beat_shares(validation.figures)
            state.ema.config = judged.config = replace(state.ema.config, likelihoods=likelihoods)
        figures = {
            "epoch": int(epoch) if epoch.is_integer() else round(epoch, 4),
            "loss": round(sum(state.losses) / len(state.losses), 5),
            "images_per_s": round(len(state.losses) * run.options.batch_size / state.busy, 1),
            "learning_rate": state.optimizer.param_groups[0]["lr"],
        }
        report(run, judged, figures, validation)
    state.losses, state.busy = [], 0.0
    return 0


def report(run: Run, judged: Network, figures: dict[str, Any], validation: Validation) -> None:
    """Write best.pt if the network is the best so far, the log and the pictures.

    Args:
        run: the run.
        judged: the network that was validated.
        figures: of the training since the last validation.
        validation: of now.
    """
    options, state = run.options, run.state
    if add_to_log(state, figures, validation):
        scores = {"photographs": run.data.count_by_folder(), "scores": state.log[-1]}
        about = {"options": options.without_paths()} | scores
        save_checkpoint(options.run / BEST, model_content(judged, half=True) | {"about": about})
    write_report(options.run, state, validation, run.writer)


def begin(run: Run) -> None:
    """Save a new run, and report how good the checkpoint is that it starts from."""
    state, device = run.state, run.group.device
    if run.options.start_from and run.group.is_main:
        if isinstance(state.ema, Model_CNN) and state.ema.config.likelihoods:
            photos = calibration_photos(run)
            before = DefaultReadout(state.ema, photos, device).colourfulness()
            small = F.avg_pool2d(photos / 255, 4)
            true = sum(map(colourfulness, small)) / len(small)
            state.colourfulness = min(before, true)
        arguments = (state.ema, run.data.validation, device, run.options.loss)
        if validation := validate(*arguments, lambda: False):
            unknown = {"epoch": 0, "loss": None, "images_per_s": None, "learning_rate": None}
            report(run, state.ema, unknown, validation)
    save(run)


def calibration_photos(run: Run) -> Tensor:
    """Return those of the photographs that are held out on which colourfulness is kept."""
    validation = run.data.validation
    return validation[evenly_spaced(range(len(validation)), CALIBRATION_PHOTOS)]


def network_to_judge(run: Run) -> Network:
    """Return the averaged network; in fine-tuning, as colourful as what it started from."""
    state = run.state
    if not state.colourfulness or not isinstance(state.ema, Model_CNN):
        return state.ema
    judged = copy.deepcopy(state.ema)
    photos = calibration_photos(run)
    restore_colourfulness(judged, photos, run.group.device, state.colourfulness)
    return judged


def read_data(options: TrainOptions, group: ProcessGroup) -> TrainingSet:
    """Read the photographs; the first process of each machine fills the cache for the others."""
    validation = cast(Path, parse_location(options.validation)) if options.validation else None
    side = max(options.size, options.final_size or 0)
    side = max(VALIDATION_SIDE, round(CROP_MARGIN * side))
    cache = Path(options.cache) if options.cache else None
    places = [(text, parse_location(text)) for text in options.photos]
    with group.local_main_process_first(), output_only_if(group.is_main):
        folders = [
            place if isinstance(place, Path) else fetch_shards(text, cache)
            for text, place in places
        ]
        return read_training_set(folders, validation, side, cache, options.drawn_by)


def print_data(options: TrainOptions, data: TrainingSet) -> None:
    """Print how many photographs are trained on, held out, and left out."""
    left_out = ", ".join(f"{n} {why}" for why, n in sorted(data.rejected.items())) or "none"
    counts = f"{len(data.train)} photographs to train on, {len(data.validation)} held out"
    reused = f"; {data.reused} were in {options.cache} already" if options.cache else ""
    print_result(f"{counts}; left out: {left_out}{reused}")


def find_slip(options: TrainOptions) -> tuple[str, str] | None:
    """Return a slip in the options, in words, and a hint; None if there is none."""
    for folder in [*options.photos, *([options.validation] if options.validation else [])]:
        if hide_credentials(folder) != folder:
            what = f"{hide_credentials(folder)}: an address with a user name, password or query"
            return what, "settings.json would keep it: let the storage's own library find it"
        place = parse_location(folder)
        if isinstance(place, Address) and folder != options.validation:
            continue
        if not (isinstance(place, Path) and place.is_dir()):
            return f"{folder}: no such folder", "python train.py FOLDER_OF_COLOUR_PHOTOS"
    if not options.resume and holds_run(options.run):
        hint = f"--resume {options.run} goes on with it, -o DIR begins another"
        return f"{options.run}: holds a run already; nothing was overwritten", hint
    if options.tensorboard and (problem := why_unavailable()):
        return f"--tensorboard: {problem}", "pip install tensorboard"
    if options.compile and (problem := why_not_compiled(pick_device(options.device))):
        return f"--compile: cannot be done here ({problem})", "leave --compile out"
    return None


def run_in_group(options: TrainOptions, group: ProcessGroup) -> int:
    """Prepare and train, as one of the group's processes; return the exit code."""
    run = options.run
    if slip := find_slip(options):
        group.print_error(*slip)
        return 2
    if options.batch_size < group.world_size:
        what = f"--batch-size {options.batch_size}: is divided among {group.world_size} processes"
        group.print_error(what, f"give --batch-size {group.world_size} or more")
        return 2
    try:
        check_folder(run)
    except UsageError as error:
        group.print_error(error)
        return 2
    with lock_run(run) if group.is_main else nullcontext(True) as free:
        if sum(group.all_reduce_max(not free)):
            hint = "wait, or name another folder with -o"
            group.print_error(f"{run}: another train.py is at work there", hint)
            return 2
        return run_locked(options, group)


def run_locked(options: TrainOptions, group: ProcessGroup) -> int:
    """Read the photographs and train; return the exit code."""
    run = options.run
    try:
        with group.local_main_process_first(), output_only_if(group.is_main):
            model, saved = build_network(options)
        data = read_data(options, group)
    except (CheckpointError, WeightsError, ShardsError) as error:
        group.print_error(error)
        return 2
    except OSError as error:  # a rejected.txt that may not be read, a full disk
        group.print_error(f"{error.filename or options.cache}: {reason_of(error)}")
        return 1
    if group.is_main:
        print_data(options, data)
    least = max(2, group.world_size)
    if len(data.train) < least or not len(data.validation):
        what = f"too few photographs: it takes {least} to train on and 1 to validate on"
        group.print_error(what)
        return 1
    try:
        return start(options, data, model, saved, group)
    except ShardsError as error:
        print_error(error)
        return 1
    except OSError as error:  # a full disk, a folder that may not be written to
        print_error(f"{run}: {reason_of(error)}")
        return 1
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            what = f"there is not enough memory for steps of {options.batch_size} crops"
            half = max(2, options.batch_size // 2)
            group.print_error(what, f"begin a run with --batch-size {half}, or a smaller --size")
            return 1
        if group.world_size == 1 or not is_lost_process(error):
            raise
        print_note("note: another process has ended, so this one ends too")
        return 1


def start(
    options: TrainOptions,
    data: TrainingSet,
    model: Network,
    saved: dict[str, Any],
    group: ProcessGroup,
) -> int:
    """Make the run's state and folder, and train; return the exit code.

    Args:
        options: the command line's.
        data: the photographs.
        model: the network to begin with; of a resumed run, the averaged one.
        saved: the checkpoint that it was built from, if any.
        group: the processes that train together.
    """
    run = options.run
    if group.device.type == "cpu":
        keep_freed_memory()
    if isinstance(model, Model_CNN) and not saved:  # a checkpoint holds its own
        model.bin_shares.copy_(bin_shares(data.train, model.bin_centres))
    state = new_state(model, group.device, options, data.fingerprint())
    if "state" in saved:
        if saved["state"]["photographs"] != state.photographs:
            hint = f"for other photographs begin a run with --start-from {run / BEST}"
            print_error(f"{run}: was trained on other photographs than are there now", hint)
            return 2
        state.load_state_dict(saved)
    schedule = make_schedule(options, data, group)
    if state.resumed and not state.losses and schedule.is_over(state.epoch, state.seconds):
        if group.is_main:
            print_nothing_left(options, state, schedule)
        return 0
    if group.is_main:
        remove_leftovers([run])  # of saves that a kill has cut short
        counts = {"photographs": len(data.train), "torch": torch.__version__}
        write_settings(run, {"options": asdict(options)} | counts)

    def give_up() -> None:
        with SAVING:  # waits until last.pt is written
            discard_part_files()
        what = f"python train.py --resume {run} goes on from what was last saved"
        print_note(f"stopped at once; {what}")

    log = options.tensorboard and group.is_main
    writer = open_writer(run / TENSORBOARD) if log else None
    with Interrupt(PATIENCE, give_up) as interrupt:
        code = train(Run(options, data, state, schedule, group, interrupt, writer))
    if writer:
        writer.close()
    return code


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    given = sys.argv[1:] if argv is None else argv
    try:
        with output_only_if(is_first_of_machine()):
            options = parse_args(given)
    except SystemExit as stop:  # bad usage, which the first process has printed
        if stop.code and not is_first_of_machine():
            wait_for_end()
        raise
    if options.processes > 1 and not is_started_by_torchrun():
        return run_processes(options.processes, __file__, given)
    with join_process_group(pick_device(options.device)) as group:
        return run_in_group(options, group)


if __name__ == "__main__":
    run_command(main)
