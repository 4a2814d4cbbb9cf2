"""plots.py: the picture of a run, whatever the run."""

import os
import subprocess
import sys

import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from support.scenes import ROOT

from colourizer.training.plots import draw_comparison, draw_curves, draw_progress
from colourizer.training.validation import Validation


def row(epoch: int, trained: bool = True) -> dict:
    measured = {"loss": 1.0, "learning_rate": 1e-4, "images_per_s": 10.0}
    return {
        "epoch": epoch, "images": 10 * epoch, "seconds": epoch, "validation_loss": 1.0,
        "ab_error": 15.0, "grey_ab_error": 18.0, "rgb_psnr": 23.0, "grey_rgb_psnr": 22.0,
        "colourfulness_ratio": 0.5, **(measured if trained else dict.fromkeys(measured)),
    }  # fmt: skip


MANY = list(range(1, 91))


@pytest.mark.parametrize(
    ("photos", "epochs"),
    [(1, [0]), (4, [1]), (4, [0, 8, 16]), (6, [0, 8, 16]), (1, MANY), (6, MANY)],
)
def test_a_run_of_any_length_is_drawn(tmp_path, photos, epochs):
    pictures = torch.randint(0, 256, (photos, 3, 128, 128), dtype=torch.uint8)
    log = [row(epoch, trained=epoch > 0) for epoch in epochs]
    kept = [epoch for number, epoch in enumerate(epochs, 1) if number & (number - 1) == 0]
    strip = [[epoch, pictures] for epoch in kept]
    path = tmp_path / "progress.png"
    draw_progress(path, log, strip, Validation({}, pictures, pictures, pictures))
    with Image.open(path) as picture:
        assert picture.width == 1200
        assert 600 < picture.height < 2200


def test_no_curve_lies_on_the_upper_edge_of_its_panel():
    figure = Figure()
    draw_curves(figure, {"": [row(1), row(2)]}, "epoch")
    for axes in figure.axes:
        assert all(max(line.get_ydata()) < axes.get_ylim()[1] for line in axes.get_lines())


def test_a_log_of_an_older_version_is_drawn_with_gaps(tmp_path):
    pictures = torch.zeros(2, 3, 128, 128, dtype=torch.uint8)
    log = [{k: v for k, v in row(1).items() if k not in ("validation_loss", "learning_rate")}]
    path = tmp_path / "progress.png"
    draw_progress(path, log, [], Validation({}, pictures, pictures, pictures))
    assert path.exists()


@pytest.mark.parametrize("name", ["_old", r"a$\foo$", "价格", os.fsdecode(b"caf\xe9")])
def test_a_run_may_have_any_name(tmp_path, name, recwarn):
    pictures = torch.zeros(1, 3, 128, 128, dtype=torch.uint8)
    path = tmp_path / name / "progress.png"
    path.parent.mkdir()
    draw_progress(path, [row(1)], [], Validation({}, pictures, pictures, pictures))
    draw_comparison(tmp_path / "two.png", {"first": [row(1)], name: [row(2)]}, "epoch")
    figure = Figure()
    draw_curves(figure, {"first": [row(1)], name: [row(2)]}, "epoch")
    (legend,) = (axes.get_legend() for axes in figure.axes if axes.get_legend())
    assert len(legend.get_texts()) == 2
    assert not recwarn.list


def test_the_backend_of_a_notebook_stops_nothing():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import train, compare_runs, review; "
        "from colourizer.training.plots import _new_figure; _new_figure(2.0)"
    )
    environment = os.environ | {"MPLBACKEND": "module://matplotlib_inline.not_installed"}
    subprocess.run([sys.executable, "-c", code, str(ROOT)], env=environment, check=True)
