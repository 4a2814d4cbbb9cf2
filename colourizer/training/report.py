"""What a training run says of itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from colourizer.runtime.cli import print_error, print_note, print_result
from colourizer.training.plots import draw_progress, find_best
from colourizer.training.run_folder import BEST, LAST, PICTURE, write_log
from colourizer.training.tensorboard import write_row
from colourizer.training.validation import Validation


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


def describe_end(run: Path, log: list[dict[str, Any]]) -> None:
    """Say what has become of the network, and what to do with it."""
    before, best = log[0], find_best(log)["ab_error"]
    if before["epoch"] == 0:  # it started from a checkpoint
        print_result(f"ab error before: {before['ab_error']:.2f}, after: {best:.2f}")
        if best == before["ab_error"]:
            what = f"{run / BEST} is what it started from; more photographs or more --minutes"
            print_note(f"hint: no better than before, so {what} may help")
    print_result(f"done: {run / BEST}; how it went: {run / PICTURE}")
    target = f"-o {run / 'colourized'}"
    print_result(f"try it: python colourize.py PHOTOS --checkpoint {run / BEST} {target}")


def print_diverged(run: Path, photographs: list[Path]) -> None:
    """Say that training has failed, and with which photographs if it was a step that did."""
    hint = f"begin anew with a lower --learning-rate; {LAST} is from before"
    print_error(f"{run}: the loss is no number any more", hint)
    if photographs:
        print_note("the photographs of that step:", *map(str, photographs))


def report(
    run: Path,
    state: dict[str, Any],
    figures: dict[str, Any],
    validation: Validation,
    save_best: Callable[[dict[str, Any]], None],
    writer: Any,
) -> None:
    """Write and say how good the network is now.

    Args:
        run: the run's folder.
        state: the run's; its log and its strip of pictures are continued.
        figures: of the training since the last report.
        validation: of now.
        save_best: is called with the new row of the log if it is the best so far.
        writer: TensorBoard's; None is none.
    """
    row = {"epoch": state["epoch"], "images": state["images"], "seconds": round(state["seconds"])}
    row |= figures | validation.figures
    is_best = all(row["ab_error"] < earlier["ab_error"] for earlier in state["log"])
    state["log"] = [*state["log"], row]
    # The first, second, fourth, eighth look and so on are kept, to see colour arrive.
    looks = len(state["log"])
    if looks & (looks - 1) == 0:
        state["strip"] = [*state["strip"], [row["epoch"], validation.predicted]]
    if is_best:
        state["best_look"] = [[row["epoch"], validation.predicted]]
        save_best(row)
    write_log(run, state["log"])
    draw_progress(run / PICTURE, state["log"], [*state["strip"], *state["best_look"]], validation)
    if writer:
        write_row(writer, row, validation)
    print_result(describe(row))
