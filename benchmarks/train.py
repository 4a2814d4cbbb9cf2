"""Benchmark: the training loop beside the bare network step, for each recipe.

`python benchmarks/train.py` makes photographs in a temporary folder by enlarging
data/samples_in_colour and adding grain, and trains on them with train.py itself. The limit is the
same network's step (forward, loss, backward, Adam, EMA) on random tensors that are on the device
already. Both are measured alternately, in one process for each recipe; compare the ratios.
"""

import argparse
import io
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

import train  # noqa: E402
from benchmarks.sample_photos import grained_part  # noqa: E402
from colourizer.network.device import autocast, pick_device  # noqa: E402
from colourizer.photos.files import find_photos  # noqa: E402
from colourizer.runtime.process import keep_freed_memory  # noqa: E402
from colourizer.training import report, schedule  # noqa: E402
from colourizer.training.criterion import training_loss  # noqa: E402
from colourizer.training.options import (  # noqa: E402
    BEST_RECIPE,
    FINE_TUNE,
    RECIPES,
    SCRATCH,
    TrainOptions,
    parse_args,
)
from colourizer.training.run_folder import read_log  # noqa: E402
from colourizer.training.state import build_network, make_optimizer, update_ema  # noqa: E402

PHOTOS, SIDE = 300, 400  # photographs; pixels of their shorter side
WARM_STEPS = 2
NEEDS_PACKAGE = "init_encoder"  # ImageNet weights change nothing about the time


def recipes() -> dict[str, list[str]]:
    """Return what is measured: names, and train.py's options."""
    best = {name: value for name, value in RECIPES[BEST_RECIPE].items() if name != NEEDS_PACKAGE}
    final = best.pop("final_size")
    as_options = [f"--{name.replace('_', '-')}={value}" for name, value in best.items()]
    return {
        f"{FINE_TUNE} (default)": [],
        SCRATCH: [f"--recipe={SCRATCH}"],
        f"{BEST_RECIPE}, first half": [f"--recipe={SCRATCH}", *as_options],
        f"{BEST_RECIPE}, last half": [f"--recipe={SCRATCH}", *as_options, f"--size={final}"],
    }


def make_photos(folder: Path) -> None:
    """Write photographs in colour: parts of the samples, enlarged and grained."""
    samples = find_photos(ROOT / "data" / "samples_in_colour")
    size = (SIDE * 4 // 3, SIDE)
    for n in range(PHOTOS):
        image = grained_part(samples[n % len(samples)], size, 0.4, seed=n)
        image.save(folder / f"photo{n:03}.jpg", quality=90)


def bare_steps(options: TrainOptions) -> Callable[[int], float]:
    """Return a function that takes a number of steps on random tensors, and returns images/s."""
    device = pick_device(options.device)
    networks = [build_network(options)[0].to(device) for _ in range(2)]
    model, ema = (network.to(memory_format=torch.channels_last) for network in networks)
    ema.requires_grad_(False)
    optimizer = make_optimizer(model, options)
    shape = (options.batch_size, 1, options.size, options.size)
    lightness = (torch.rand(shape) * 100).to(device, memory_format=torch.channels_last)
    ab = (torch.randn(options.batch_size, 2, options.size, options.size) * 20).to(device)
    rgb = torch.empty(0, device=device)  # only used for the original's network

    def steps(count: int) -> float:
        model.train()
        begun = time.perf_counter()
        for number in range(count):
            with autocast(device):
                output = model(lightness)
            loss = training_loss(model, output, rgb, ab, options.loss)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            update_ema(ema, model, number)
            loss.item()
        return count * options.batch_size / (time.perf_counter() - begun)

    return steps


class WaitMeter:
    """Stand-in for the progress bar that adds up how long the loop waits for batches."""

    seconds = 0.0

    def __init__(self, batches: Any, *_: Any, **__: Any) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches."""
        remaining = iter(self.batches)
        while True:
            begun = time.perf_counter()
            batch = next(remaining, None)
            WaitMeter.seconds += time.perf_counter() - begun
            if batch is None:
                return
            yield batch

    def set_postfix_str(self, _: str) -> None:
        """Ignore the bar's text."""

    def close(self) -> None:
        """Ignore the bar's end."""


def measure(name: str, options: list[str], folder: Path, rounds: int, steps: int) -> None:
    """Measure a recipe, and print its row."""
    asked = parse_args([str(folder / "photos"), *options])
    if pick_device(asked.device).type == "cpu":
        keep_freed_memory()
    bare = bare_steps(asked)
    bare(WARM_STEPS)
    patch.multiple(train, progress=WaitMeter, REPORT_STEPS=steps).start()
    patch.object(report, "draw_progress").start()  # it is no part of the loop
    patch.object(schedule, "MIN_VALIDATIONS", 1).start()  # only reports after so many steps
    limits, rates, waited = [], [], []
    for number in range(rounds):
        run = folder / f"{name.split()[0]}-{asked.size}-{number}"
        # Two reports: the first has the steps in which memory is found, the second is measured.
        seconds = 3.0 * steps * asked.batch_size / bare(WARM_STEPS)
        limits.append(bare(steps))
        WaitMeter.seconds = 0.0
        more = ["-o", str(run), "--cache", str(folder / "cache"), f"--minutes={seconds / 60}"]
        with redirect_stdout(io.StringIO()):
            train.main([str(folder / "photos"), *options, *more])
        rows = [row for row in read_log(run) if row["epoch"] > 0]
        rates.append(rows[1]["images_per_s"])
        waited.append(WaitMeter.seconds / rows[-1]["seconds"])
        limits[-1] = (limits[-1] + bare(steps)) / 2
    ratio = statistics.median(rate / limit for rate, limit in zip(rates, limits, strict=True))
    if torch.cuda.is_available():
        memory = torch.cuda.max_memory_allocated()
    else:
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    loop, limit, waits = (statistics.median(values) for values in (rates, limits, waited))
    print(
        f"{name:20} {asked.size:4}  {loop:13.1f}  {limit:13.1f}  {ratio:5.2f}  {waits:12.1%}  "
        f"{memory / 1e9:7.2f} GB",
        flush=True,
    )


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--rounds", type=int, default=3, metavar="N", help="the median of N runs (default: 3)")
    add("--steps", type=int, default=10, metavar="N",
        help="steps in each run, at least an epoch (default: 10)")  # fmt: skip
    args = parser.parse_args()
    print(f"training on {pick_device('auto').type}, batches of {parse_args([]).batch_size}")
    print(f"{'recipe':20} size  loop, images/s  bare, images/s  ratio  waits for data  peak memory")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "photos").mkdir()
        make_photos(folder / "photos")
        for recipe, options in recipes().items():
            asked = (recipe, options, folder, args.rounds, args.steps)
            process = multiprocessing.get_context("spawn").Process(target=measure, args=asked)
            process.start()
            process.join()
            if process.exitcode:
                raise SystemExit(f"{recipe}: failed")


if __name__ == "__main__":
    main()
