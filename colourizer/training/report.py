"""A training run's log, and the lines that it prints."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colourizer.runtime.cli import print_error, print_note, print_result
from colourizer.training.options import TrainOptions
from colourizer.training.plots import draw_progress, find_best
from colourizer.training.run_folder import BEST, LAST, PICTURE, Log, write_log
from colourizer.training.schedule import Schedule
from colourizer.training.state import TrainState
from colourizer.training.tensorboard import write_row
from colourizer.training.validation import Validation

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

PICTURE_SECONDS = 15  # between two drawings of progress.png, each of which takes about one


def describe(row: dict[str, Any]) -> str:
    """Return a row of the log in words; that of epoch 0 is from before training."""
    trained = row["epoch"] > 0
    return (
        (f"epoch {row['epoch']:.4g}: loss {row['loss']:.4f}, " if trained else "before: ")
        + f"ab error {row['ab_error']:.2f} (grey {row['grey_ab_error']:.2f}), "
        f"RGB-PSNR {row['rgb_psnr']:.2f} (grey {row['grey_rgb_psnr']:.2f}), "
        f"colourfulness ratio {row['colourfulness_ratio']:.2f}"
        + (f", {row['images_per_s']:.0f} images/s" if trained else "")
    )


def print_end(run: Path, log: Log) -> None:
    """Print how good the network has become, and the command that uses it."""
    before, best = log[0], find_best(log)["ab_error"]
    if before["epoch"] == 0:  # it started from a checkpoint
        print_result(f"ab error before: {before['ab_error']:.2f}, after: {best:.2f}")
        if best == before["ab_error"]:
            what = f"{run / BEST} is what it started from; more photographs or more --minutes"
            print_note(f"hint: no better than before, so {what} may help")
    else:
        first, grey = before["ab_error"], before["grey_ab_error"]
        course = f"at first: {first:.2f}, at best: {best:.2f}"
        print_result(f"ab error {course}, without any colour: {grey:.2f}; lower is better")
    print_result(f"done: {run / BEST}; how it went: {run / PICTURE}")
    target = f"-o {run / 'colourized'}"
    print_result(f"try it: python colourize.py PHOTOS --checkpoint {run / BEST} {target}")


def print_nothing_left(options: TrainOptions, state: TrainState, schedule: Schedule) -> None:
    """Print that a resumed run is over already, and the command that goes on with it.

    Args:
        options: the command line's.
        state: the run's.
        schedule: the run's.
    """
    if schedule.is_out_of_time(state.seconds):
        done, more, name, unit = state.seconds / 60, options.minutes or 0.0, "--minutes", "min"
    else:
        done, more, name, unit = state.epoch, options.epochs or 0, "--epochs", "epochs"
    # Rounded up where a rounded sum might be over already.
    total = round(done + more, 1) if more >= 1 else math.ceil((done + more) * 100) / 100
    print_note(
        f"note: {options.run}: nothing was done; {done:.4g} {unit} were trained, and {name} "
        f"{more:g} is the total, with those before",
        f"hint: python train.py --resume {options.run} {name} {total:g} goes on for another "
        f"{more:g} {unit}",
    )


def print_diverged(run: Path, photographs: list[Path]) -> None:
    """Print that the loss has become NaN or infinite, and the photographs of the step if known."""
    hint = f"begin anew with a lower --learning-rate; {LAST} is from before"
    print_error(f"{run}: the loss is no number any more", hint)
    if photographs:
        print_note("the photographs of that step:", *map(str, photographs))


def add_to_log(state: TrainState, figures: dict[str, Any], validation: Validation) -> bool:
    """Add a validation to the state's log and pictures; return whether it is the best so far.

    Args:
        state: the run's.
        figures: of the training since the last validation; and how many epochs are over.
        validation: of now.
    """
    row = {"epoch": 0, "images": state.images, "seconds": round(state.seconds)}
    row |= figures | validation.figures
    is_best = all(row["ab_error"] < earlier["ab_error"] for earlier in state.log)
    state.log.append(row)
    # Pictures are kept of the first, second, fourth, eighth validation and so on.
    count = len(state.log)
    if count & (count - 1) == 0:
        state.strip.append([row["epoch"], validation.predicted])
    if is_best:
        state.best_look = [[row["epoch"], validation.predicted]]
    return is_best


def draw_picture(run: Path, state: TrainState) -> None:
    """Write progress.png, unless it has the last validation already.

    Args:
        run: the run's folder.
        state: the run's.
    """
    if state.undrawn:
        pictures = [*state.strip, *state.best_look]
        draw_progress(run / PICTURE, state.log, pictures, state.undrawn)
        state.drawn, state.undrawn = state.seconds, None


def write_report(
    run: Path,
    state: TrainState,
    validation: Validation,
    writer: "SummaryWriter | None",
) -> None:
    """Write log.jsonl, progress.png and TensorBoard's log, and print the last row.

    A picture that was drawn within the last PICTURE_SECONDS is not drawn again now.

    Args:
        run: the run's folder.
        state: the run's, after `add_to_log`.
        validation: the last one.
        writer: for TensorBoard, if that was asked for.
    """
    write_log(run, state.log)
    state.undrawn = validation
    if state.seconds - state.drawn >= PICTURE_SECONDS:
        draw_picture(run, state)
    if writer:
        write_row(writer, state.log[-1], validation)
    print_result(describe(state.log[-1]))
