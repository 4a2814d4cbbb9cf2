"""train.py: it learns, it leaves a run folder, and a stopped run goes on as if it had not."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from support.scenes import ROOT, scene, stops_after
from support.warm_process import start

import train
from colourizer.inference.calibration import DefaultReadout
from colourizer.inference.colourizer import Colourizer
from colourizer.inference.looks import Look
from colourizer.inference.preprocess import network_input
from colourizer.network import checkpoint
from colourizer.network.checkpoint import BUNDLED, build_model, load_checkpoint
from colourizer.network.classic_cnn import ClassicCNN
from colourizer.network.device import autocast
from colourizer.runtime import atomic_file
from colourizer.training.criterion import training_loss
from colourizer.training.crops import CropBatch, CropConfig, make_batch, network_input_and_target
from colourizer.training.data import read_training_set
from colourizer.training.plots import draw_progress
from colourizer.training.run_folder import lock_run
from colourizer.training.schedule import MIN_VALIDATIONS
from Model_CNN import Model_CNN

SMALL = ["--size", "32", "--batch-size", "5", "--device", "cpu", "--no-cache"]
CLASSIC = [*SMALL, "--model", "classic"]  # the smallest network, where any will do
SMALL += ["--recipe", "scratch"]


@pytest.fixture(autouse=True)
def short_reports(monkeypatch) -> None:
    """Leave out what takes longer than the training."""
    monkeypatch.setattr("colourizer.training.report.draw_progress", lambda *_: None)
    monkeypatch.setattr("colourizer.training.schedule.MIN_VALIDATIONS", 1)


@pytest.fixture
def progress_drawn(short_reports, monkeypatch) -> None:
    """Draw progress.png after all."""
    monkeypatch.setattr("colourizer.training.report.draw_progress", draw_progress)


@pytest.fixture
def usual_validations(short_reports, monkeypatch) -> None:
    """Validate as often as train.py does."""
    monkeypatch.setattr("colourizer.training.schedule.MIN_VALIDATIONS", MIN_VALIDATIONS)


def run_train(*args: object) -> int:
    return train.main([str(a) for a in args])


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(path)["model"]


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_a_run_leaves_checkpoints_log_settings_and_picture(
    album, tmp_path, capsys, monkeypatch, progress_drawn
):
    monkeypatch.setattr(train, "REPORT_STEPS", 2)
    run = tmp_path / "run"
    assert run_train(album, "-o", run, "--epochs", 2, *SMALL) == 0
    assert {p.name for p in run.iterdir()} == {
        "last.pt", "previous.pt", "best.pt", "log.jsonl", "settings.json", "progress.png",
    }  # fmt: skip
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in log] == [1, 2]
    figures = {"loss", "validation_loss", "ab_error", "grey_ab_error", "rgb_psnr", "images_per_s"}
    assert figures <= log[0].keys()
    assert json.loads((run / "settings.json").read_text())["options"]["size"] == 32
    with Image.open(run / "progress.png") as picture:
        assert picture.width > 800
    best = load_checkpoint(run / "best.pt")
    assert best["about"]["options"]["epochs"] == 2
    assert isinstance(build_model(best, run), Model_CNN)
    captured = capsys.readouterr()
    assert "10 photographs to train on, 2 held out" in captured.out
    assert f"--checkpoint {run / 'best.pt'}" in captured.out
    first, grey = log[0]["ab_error"], log[0]["grey_ab_error"]
    course = f"ab error at first: {first:.2f}, at best: {min(row['ab_error'] for row in log):.2f}"
    assert f"{course}, without any colour: {grey:.2f}; lower is better\n" in captured.out
    assert captured.err == ""


@pytest.mark.parametrize("below", ["", "run"])
def test_where_nothing_can_be_written_no_photograph_is_read(
    album, tmp_path, capsys, monkeypatch, below
):
    monkeypatch.setattr(train, "read_data", lambda *_: pytest.fail("read"))
    file = tmp_path / "file"
    file.write_bytes(b"")
    assert run_train(album, "-o", file / below, *CLASSIC) == 2
    message = f"error: -o {file / below}: {file} is a file, not a folder\nhint: "
    assert capsys.readouterr().err.startswith(message)


@pytest.mark.skipif(os.name != "posix", reason="locks as posix has them")
def test_two_runs_at_once_do_not_share_a_folder(album, tmp_path, capsys):
    run = tmp_path / "runs" / "one"
    with lock_run(run):
        assert run_train(album, "-o", run, "--epochs", 1, *CLASSIC) == 2
    assert f"error: {run}: another train.py is at work there\nhint: " in capsys.readouterr().err
    assert not run.exists()
    assert run_train(album, "-o", run, "--epochs", 1, *CLASSIC) == 0
    with lock_run(run):
        assert run_train("--resume", run, "--epochs", 2) == 2
    assert (run / "best.pt").exists()


def test_the_network_learns_what_it_sees(album, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "REPORT_STEPS", 30)
    options = [*SMALL, "--batch-size", 4, "--epochs", 60, "--learning-rate", 4e-3]
    run_train(album, "-o", tmp_path / "run", *options)
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert log[-1]["loss"] < 0.8 * log[0]["loss"]
    assert log[-1]["ab_error"] < 0.9 * log[-1]["grey_ab_error"]


def test_the_originals_network_is_trained_by_name(album, tmp_path):
    assert (
        run_train(album, "-o", tmp_path / "run", "--model", "classic", "--epochs", 1, *SMALL) == 0
    )
    content = load_checkpoint(tmp_path / "run" / "best.pt")
    assert isinstance(build_model(content, tmp_path), ClassicCNN)


@pytest.mark.parametrize("steps", [2, 3, 5])
def test_a_run_resumed_between_validations_has_the_log_of_an_unbroken_one(
    album, tmp_path, monkeypatch, steps
):
    options = [album, "--epochs", 3, *CLASSIC]
    monkeypatch.setattr("colourizer.training.schedule.MIN_VALIDATIONS", 2)
    run_train(*options, "-o", tmp_path / "unbroken")
    with monkeypatch.context() as patch:
        patch.setattr(train, "Interrupt", stops_after(steps))
        assert run_train(*options, "-o", tmp_path / "stopped") == 130
    assert run_train("--resume", tmp_path / "stopped") == 0
    logs = [
        [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        for name in ("unbroken", "stopped")
    ]
    figures = [[(row["epoch"], row["loss"], row["ab_error"]) for row in log] for log in logs]
    assert figures[0] == figures[1]
    assert [row["epoch"] for row in logs[0]] == [1.5, 3]


@pytest.mark.parametrize(
    ("steps", "more"),
    [
        (1, []),
        (2, ["--aged", 0.5]),
        (5, ["--loss", "bins", "--consistency", 2, "--aged", 0.5]),
        (5, ["--final-size", 48]),
        (3, ["--start-from", "CHECKPOINT", "--freeze-encoder", 2]),
    ],
)
def test_a_resumed_run_equals_an_unbroken_one_bit_for_bit(
    album, tmp_path, monkeypatch, checkpoint_file, steps, more
):
    more = [checkpoint_file if word == "CHECKPOINT" else word for word in more]
    options = [album, "--epochs", 3, *more, *SMALL]
    run_train(*options, "-o", tmp_path / "unbroken")

    with monkeypatch.context() as patch:
        patch.setattr(train, "Interrupt", stops_after(steps))
        assert run_train(*options, "-o", tmp_path / "stopped") == 130
    assert load_checkpoint(tmp_path / "stopped" / "last.pt")["state"]["step"] == steps
    assert run_train("--resume", tmp_path / "stopped") == 0
    runs = [tmp_path / "unbroken", tmp_path / "stopped"]
    assert same(*(weights(run / "best.pt") for run in runs))
    ends = [load_checkpoint(run / "last.pt") for run in runs]
    for name in ("model", "training"):
        assert same(*(end[name] for end in ends))


def test_what_a_cache_holds_trains_the_same_network(album, tmp_path, capsys):
    cache = tmp_path / "cache"
    for name, reused in (("first", 0), ("second", 12)):
        run_train(album, "-o", tmp_path / name, "--epochs", 1, *CLASSIC, "--cache", cache)
        assert f"left out: none; {reused} were in {cache} already\n" in capsys.readouterr().out
    ends = [load_checkpoint(tmp_path / run / "last.pt") for run in ("first", "second")]
    assert same(*(end["training"] for end in ends))
    assert str(tmp_path) not in str(load_checkpoint(tmp_path / "first" / "best.pt")["about"])
    resumed = ["--resume", str(tmp_path / "first")]
    assert train.parse_args(resumed).cache == str(cache)
    assert train.parse_args([*resumed, "--no-cache"]).cache is None


@pytest.mark.parametrize(("asked", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_who_stops_a_run_finds_it_saved(album, tmp_path, asked, code):
    run = tmp_path / "run"
    process = start(["train.py", album, "-o", run, "--save-minutes", "0", *CLASSIC], cwd=ROOT)
    deadline = time.monotonic() + 60
    while not (run / "previous.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.1)  # the second save is of the first step
    os.kill(process.pid, asked)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == code
    assert f"--resume {run}" in errors
    assert "Traceback" not in errors
    assert load_checkpoint(run / "last.pt")["state"]["step"] > 0


def test_a_step_that_takes_too_long_is_given_up(album, tmp_path):
    """What was last saved stays; the process does not wait for the step's end."""
    run = tmp_path / "run"
    program = (
        "import sys, time, train; train.PATIENCE = 0.5; "
        "train.network_input_and_target = lambda _: (print('begun', flush=True), time.sleep(60)); "
        "sys.exit(train.main(sys.argv[1:]))"
    )
    process = start(["-c", program, album, "-o", run, *CLASSIC], cwd=ROOT)
    while process.stdout.readline() != "begun\n":
        assert process.poll() is None
    os.kill(process.pid, signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 143
    assert "stopped at once" in errors
    assert load_checkpoint(run / "last.pt")["state"]["step"] == 0


def test_a_save_that_takes_too_long_is_waited_for(album, tmp_path, monkeypatch, capsys):
    add_step, save_last, ended = train.TrainState.add_step, train.save_last, []
    monkeypatch.setattr(train, "PATIENCE", 0.5)
    monkeypatch.setattr(os, "_exit", ended.append)
    monkeypatch.setattr(
        train.TrainState,
        "add_step",
        lambda *args: (add_step(*args), os.kill(os.getpid(), signal.SIGTERM)),
    )
    monkeypatch.setattr(train, "save_last", lambda *args: (save_last(*args), time.sleep(0.7)))
    run = tmp_path / "run"
    assert run_train(album, "-o", run, "--save-minutes", 1, *CLASSIC) == 143
    errors = capsys.readouterr().err
    assert ended == []
    assert "stopped in epoch 1, saved" in errors
    assert "at once" not in errors
    assert load_checkpoint(run / "last.pt")["state"]["step"] == 1


def test_minutes_end_a_run_in_time(album, tmp_path):
    begun = time.monotonic()
    code = run_train(album, "-o", tmp_path / "run", "--minutes", 0.03, "--epochs", 10_000, *CLASSIC)
    assert code == 0
    assert time.monotonic() - begun < 15
    assert (tmp_path / "run" / "best.pt").exists()


def test_a_run_starts_from_a_checkpoint(album, tmp_path, checkpoint_file):
    start = ["--start-from", checkpoint_file, "--learning-rate", 0]
    assert run_train(album, "-o", tmp_path / "run", "--epochs", 1, *start, *SMALL) == 0
    ours, theirs = weights(tmp_path / "run" / "best.pt"), weights(checkpoint_file)
    assert torch.equal(ours["head.weight"], theirs["head.weight"])


def test_however_short_a_run_is_a_step_is_taken_before_each_validation(
    album, tmp_path, checkpoint_file, monkeypatch, usual_validations
):
    """A validation takes longer than all of its time."""
    validate = train.validate
    monkeypatch.setattr(train, "validate", lambda *args: (time.sleep(0.7), validate(*args))[1])
    start = ["--start-from", checkpoint_file, "--minutes", 0.01]
    assert run_train(album, "-o", tmp_path / "run", *start, *SMALL) == 0
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    images = [row["images"] for row in log]
    assert images[0] == 0
    assert len(images) > 1
    assert images == sorted(set(images))


def test_a_run_is_never_overwritten(album, tmp_path, capsys):
    run = tmp_path / "run"
    run_train(album, "-o", run, "--epochs", 1, *CLASSIC)
    before = (run / "last.pt").read_bytes()
    assert run_train(album, "-o", run, "--epochs", 1, *CLASSIC) == 2
    assert (run / "last.pt").read_bytes() == before
    assert f"--resume {run} goes on with it" in capsys.readouterr().err


def test_a_resumed_run_refuses_other_options(album, tmp_path, capsys):
    run = tmp_path / "run"
    run_train(album, "-o", run, "--epochs", 1, *CLASSIC)
    with pytest.raises(SystemExit) as exit_info:
        train.parse_args(["--resume", str(run), "--size", "64"])
    assert exit_info.value.code == 2
    assert "--size: cannot be changed in a resumed run" in capsys.readouterr().err
    assert train.parse_args(["--resume", str(run), "--epochs", "5"]).epochs == 5


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["no_such_folder"], "no_such_folder: no such folder"),
        (["--resume", "no_such_run"], "no readable settings.json"),
        (["--init-encoder", "no_such_package"], "neither a file nor an installed package"),
        (["--init-encoder", "./no_such.pth"], "neither a file nor an installed package"),
        (["--start-from", "no_such.pt"], "no_such.pt: no such file"),
        (["--minutes", "0"], "--minutes: 0: at least"),
        (["--learning-rate", "-1"], "--learning-rate: -1: at least 0"),
        (["--freeze-encoder", "9"], "--freeze-encoder: invalid choice: 9"),
        (["--model", "classic", "--loss", "bins"], "--loss: has no effect beside --model classic"),
        (["--model", "classic", "--consistency", "1"], "--consistency: has no effect beside"),
    ],
)
def test_a_slip_gets_one_clear_line(album, tmp_path, capsys, args, message):
    positional = [] if args[0] in ("no_such_folder", "--resume") else [album]
    try:
        code = run_train(*positional, *args, "-o", tmp_path / "run", *SMALL)
    except SystemExit as error:
        code = error.code
    assert code == 2
    assert not (tmp_path / "run").exists()
    assert message in capsys.readouterr().err


def test_a_folder_may_be_named_by_a_file_address(album, tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(train, "read_training_set", lambda *given: read.extend(given[:2]))
    options = train.parse_args([f"file://{album}", "--validation", f"file://{album}/sub"])
    assert train.find_slip(options) is None
    train.read_data(options, train.ProcessGroup(torch.device("cpu")))
    assert read == [[album], album / "sub"]


def test_too_few_photos_are_said_to_be_so(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert run_train(tmp_path / "empty", "-o", tmp_path / "run", *CLASSIC) == 1
    assert "too few photographs" in capsys.readouterr().err


def test_a_run_among_its_photographs_goes_on_and_its_picture_is_not_trained_on(
    album, capsys, progress_drawn
):
    run = album / "run"
    for begin in ([album, "-o", run, "--epochs", 1, *CLASSIC], ["--resume", run, "--epochs", 2]):
        assert run_train(*begin) == 0
        assert (run / "progress.png").exists()
    both = [line for line in capsys.readouterr().out.splitlines() if "to train on" in line]
    assert both[0].split(";")[0] == both[1].split(";")[0]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        MemoryError(),
    ],
)
def test_too_little_memory_is_said_in_words(album, tmp_path, capsys, monkeypatch, error):
    def loss(*_):
        raise error

    monkeypatch.setattr(train, "training_loss", loss)
    assert run_train(album, "-o", tmp_path / "run", "--epochs", 1, *CLASSIC) == 1
    printed = capsys.readouterr().err
    assert "not enough memory for steps of" in printed
    assert "hint: begin a run with --batch-size" in printed


def test_where_nothing_can_be_compiled_it_is_said_before_training(
    album, tmp_path, capsys, monkeypatch
):
    def refuse(_network):
        raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found\nand more")

    monkeypatch.setattr(torch, "compile", refuse)
    assert run_train(album, "-o", tmp_path / "run", "--compile", *CLASSIC) == 2
    expected = (
        "error: --compile: cannot be done here (InvalidCxxCompiler: No working C++ compiler found)"
    )
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_resumed_run_refuses_other_photographs(album, tmp_path, capsys):
    run = tmp_path / "run"
    run_train(album, "-o", run, "--epochs", 1, *CLASSIC)
    (album / "photo3.png").unlink()
    assert run_train("--resume", run, "--epochs", 2) == 2
    assert "was trained on other photographs" in capsys.readouterr().err


def test_a_loss_that_is_no_number_stops_the_run_and_spoils_nothing(
    album, tmp_path, capsys, monkeypatch
):
    losses = iter([1.0, 1.0, float("nan")])

    def loss(model, *_):
        return next(losses) * sum(p.square().sum() for p in model.parameters())

    monkeypatch.setattr(train, "REPORT_STEPS", 2)
    monkeypatch.setattr(train, "training_loss", loss)
    assert run_train(album, "-o", tmp_path / "run", "--epochs", 5, *CLASSIC) == 1
    printed = capsys.readouterr().err
    assert "the loss is no number any more" in printed
    named = printed.split("the photographs of that step:\n")[1].splitlines()
    assert len(named) == 5
    assert all(Path(name).parent.name in ("album", "sub") and Path(name).exists() for name in named)
    assert load_checkpoint(tmp_path / "run" / "last.pt")["state"]["step"] == 2
    assert all(value.isfinite().all() for value in weights(tmp_path / "run" / "last.pt").values())


def test_a_checkpoint_names_no_path_of_the_machine(album, tmp_path):
    run_train(album, "-o", tmp_path / "run", "--validation", album / "sub", "--epochs", 1, *CLASSIC)
    about = load_checkpoint(tmp_path / "run" / "best.pt")["about"]
    assert str(tmp_path) not in str(about)
    assert about["photographs"] == {"album": 10}


def test_a_small_folder_is_learnt_more_than_it_is_validated(album, tmp_path):
    run_train(album, "-o", tmp_path / "run", "--epochs", 30, *CLASSIC)
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in log] == [25, 30]  # two steps each: 50, and the last


@pytest.mark.parametrize(("epochs", "count"), [(30, 12), (1, 2)])
def test_any_run_has_twelve_validations_or_one_after_each_step(
    album, tmp_path, epochs, count, usual_validations
):
    """Two steps an epoch: so of 60 steps after every five, within epochs too."""
    run_train(album, "-o", tmp_path / "run", "--epochs", epochs, *CLASSIC)
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in log] == [(n + 1) * epochs / count for n in range(count)]
    strip = load_checkpoint(tmp_path / "run" / "last.pt")["state"]["strip"]
    assert [epoch for epoch, _ in strip] == [
        log[n - 1]["epoch"] for n in (1, 2, 4, 8) if n <= count
    ]


def test_the_last_third_of_a_run_sees_crops_of_the_final_size(album, tmp_path, monkeypatch):
    sides = []

    def loss(model, output, rgb, *_):
        sides.append(rgb.shape[-1])
        return sum(p.square().sum() for p in model.parameters())

    monkeypatch.setattr(train, "training_loss", loss)
    run_train(album, "-o", tmp_path / "run", "--epochs", 5, "--final-size", 48, *CLASSIC)
    assert sides == [32] * 7 + [48] * 3  # two steps an epoch: from the middle of one


def test_a_run_that_starts_from_a_checkpoint_says_how_good_that_was(
    album, tmp_path, checkpoint_file, capsys
):
    run = tmp_path / "run"
    options = ["--start-from", checkpoint_file, "--learning-rate", 0, "--epochs", 1, *SMALL]
    assert run_train(album, "-o", run, *options) == 0
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in log] == [0, 1]
    assert log[0]["loss"] is None
    assert capsys.readouterr().out.splitlines()[1].startswith("before: ab error ")
    strip = load_checkpoint(run / "last.pt")["state"]["strip"]
    assert [epoch for epoch, _ in strip] == [0, 1]
    assert all(pictures.shape == (2, 3, 128, 128) for _, pictures in strip)


def pretend_errors(monkeypatch, *errors: float) -> None:
    """Let the validations of a run find these ab errors, one after the other."""
    validate, remaining = train.validate, iter(errors)

    def pretend(*args):
        validation = validate(*args)
        validation.figures["ab_error"] = next(remaining)
        return validation

    monkeypatch.setattr(train, "validate", pretend)


def test_what_got_worse_than_it_was_is_not_kept(
    album, tmp_path, checkpoint_file, capsys, monkeypatch
):
    pretend_errors(monkeypatch, 5.0, 6.0, 7.0)
    monkeypatch.setattr(train, "REPORT_STEPS", 2)
    run = tmp_path / "run"
    run_train(album, "-o", run, "--start-from", checkpoint_file, "--epochs", 2, *SMALL)
    captured = capsys.readouterr()
    assert "ab error before: 5.00, after: 5.00" in captured.out
    assert "hint: no better than before" in captured.err
    started, best = weights(checkpoint_file), weights(run / "best.pt")
    assert same(best, started)
    assert not torch.equal(weights(run / "last.pt")["head.weight"].half(), best["head.weight"])


def test_fine_tuning_does_not_fade_the_colours(tmp_path, monkeypatch):
    """At the default vividness, on what is held out, even if the last one becomes best.pt."""
    pretend_errors(monkeypatch, 9.0, 8.0, 7.0)
    monkeypatch.setattr("colourizer.training.schedule.MIN_VALIDATIONS", 2)
    samples, run = ROOT / "data" / "samples_in_colour", tmp_path / "run"
    options = ["--size", 64, "--epochs", 4, "--batch-size", 3, "--device", "cpu", "--no-cache"]
    assert run_train(samples, "-o", run, *options) == 0
    photos = read_training_set([samples], None, 256).validation
    cpu = torch.device("cpu")
    before, after = (
        DefaultReadout(build_model(load_checkpoint(path), path).eval(), photos, cpu).colourfulness()
        for path in (BUNDLED, run / "best.pt")
    )
    assert not same(weights(BUNDLED), weights(run / "best.pt"))
    assert after > 0.97 * before
    assert load_checkpoint(run / "best.pt")["model_config"]["likelihoods"]


def test_a_checkpoint_knows_how_common_the_colours_of_its_photographs_were(album, tmp_path):
    run_train(album, "-o", tmp_path / "run", "--epochs", 1, *SMALL)
    shares = weights(tmp_path / "run" / "best.pt")["bin_shares"]
    assert shares.sum().item() == pytest.approx(1, abs=1e-4)
    assert shares.max() > 20 * shares.median()


@pytest.mark.parametrize("likely", [True, False])
def test_only_a_network_whose_bins_are_likelihoods_is_read_as_that(
    album, tmp_path, monkeypatch, likely
):
    monkeypatch.setattr(train, "likelihoods_beat_shares", lambda _: likely)
    run_train(album, "-o", tmp_path / "run", "--epochs", 1, *SMALL)
    colourizer = Colourizer.load(tmp_path / "run" / "best.pt", "cpu", vividness=1)
    assert colourizer.has_likelihoods == likely
    lightness = torch.rand(1, 64, 64) * 100
    ab = colourizer.predict([lightness])[0].ab(Look(1))
    with torch.inference_mode(), autocast(colourizer.device):
        mean = colourizer.model.ab_of(colourizer.model(network_input(lightness)))
    assert torch.equal(ab, mean) == (not likely)


def test_a_batch_is_learnt(album, tmp_path, monkeypatch):
    """Loss down by 60% in 40 steps on one batch of crops that are always the same."""
    monkeypatch.setattr(train, "REPORT_STEPS", 10_000)
    losses = []

    def loss(*args):
        losses.append(training_loss(*args))
        return losses[-1]

    photos = list(read_training_set([album], album / "sub", 40).train)[:8]
    first = make_batch(photos, range(8), CropConfig(32), range(8))
    monkeypatch.setattr(train, "training_loss", loss)
    monkeypatch.setattr(
        train, "network_input_and_target", lambda _: network_input_and_target(first)
    )
    options = ["--batch-size", 10, "--epochs", 40, "--validation", album / "sub"]
    monkeypatch.setattr(CropBatch, "to", lambda *_: first)
    run_train(album, "-o", tmp_path / "run", *SMALL, *options, "--learning-rate", 3e-3)
    assert len(losses) == 40
    assert losses[-1].item() < 0.4 * losses[0].item()


def stopped_run(album, tmp_path, monkeypatch, *options: object, steps: int = 3) -> Path:
    """Leave a run that Ctrl-C has stopped after some steps."""
    run = tmp_path / "stopped"
    with monkeypatch.context() as patch:
        patch.setattr(train, "Interrupt", stops_after(steps))
        assert run_train(album, "-o", run, *options, *CLASSIC) == 130
    return run


def test_a_damaged_last_checkpoint_is_named_and_the_one_before_used(
    album, tmp_path, monkeypatch, capsys
):
    options = ["--epochs", 4, "--save-minutes", 0]
    run_train(album, "-o", tmp_path / "unbroken", *options, *CLASSIC)
    run = stopped_run(album, tmp_path, monkeypatch, *options, steps=3)
    damaged = bytearray((run / "last.pt").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (run / "last.pt").write_bytes(damaged)
    capsys.readouterr()
    assert run_train("--resume", run) == 0
    printed = capsys.readouterr().err
    assert f"note: {run / 'last.pt'}: damaged" in printed
    assert f"going on from {run / 'previous.pt'}" in printed
    ends = [load_checkpoint(tmp_path / name / "last.pt") for name in ("unbroken", "stopped")]
    assert same(*(end["training"] for end in ends))

    for name in ("last.pt", "previous.pt"):
        (run / name).write_bytes(b"torn")
    assert run_train("--resume", run) == 2
    assert "not a checkpoint" in capsys.readouterr().err


def test_a_run_that_was_killed_before_its_first_save_begins_again(album, tmp_path):
    for name in ("unbroken", "killed"):
        run_train(album, "-o", tmp_path / name, "--epochs", 1, *CLASSIC)
    for path in (tmp_path / "killed").glob("*.pt"):
        path.unlink()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / "killed" / f".part-{atomic_file.MACHINE}-{gone.pid}-x").write_bytes(b"half")
    assert run_train("--resume", tmp_path / "killed") == 0
    ends = [load_checkpoint(tmp_path / name / "last.pt") for name in ("unbroken", "killed")]
    assert same(*(end["training"] for end in ends))
    assert list((tmp_path / "killed").glob(".part-*")) == []


def test_a_run_that_was_stopped_while_it_validated_validates_again(
    album, tmp_path, monkeypatch, usual_validations
):
    options = [album, "--epochs", 2, *CLASSIC]
    monkeypatch.setattr(train, "REPORT_STEPS", 2)
    run_train(*options, "-o", tmp_path / "unbroken")

    def interrupted(*args):
        asked.exit_code = 143
        return validate(*args)

    validate, asked = train.validate, train.Interrupt()
    with monkeypatch.context() as patch:
        patch.setattr(train, "Interrupt", lambda *_: asked)
        patch.setattr(train, "validate", interrupted)
        assert run_train(*options, "-o", tmp_path / "stopped") == 143
    assert not (tmp_path / "stopped" / "log.jsonl").exists()
    assert run_train("--resume", tmp_path / "stopped") == 0
    for name in ("last.pt", "best.pt"):
        assert same(weights(tmp_path / "unbroken" / name), weights(tmp_path / "stopped" / name))
    logs = [(tmp_path / name / "log.jsonl").read_text() for name in ("unbroken", "stopped")]
    rows = [[json.loads(line) for line in log.splitlines()] for log in logs]
    timed = {"seconds", "images_per_s"}
    one, two = ([{k: v for k, v in row.items() if k not in timed} for row in log] for log in rows)
    assert one == two


def test_on_a_full_disk_the_old_checkpoint_stays(album, tmp_path, monkeypatch, capsys):
    run = stopped_run(album, tmp_path, monkeypatch, "--epochs", 3)
    before = (run / "last.pt").read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoint.torch, "save", full)
    assert run_train("--resume", run) == 1
    assert f"{run}: no space left on device" in capsys.readouterr().err.lower()
    assert (run / "last.pt").read_bytes() == before
    assert not list(run.glob(".part-*"))


def test_broken_photographs_are_counted_and_trained_around(album, tmp_path, capsys):
    for n in range(100, 126):
        scene(n).save(album / f"more{n}.png")
    for n in range(2):  # one in twenty
        (album / f"broken{n}.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    assert run_train(album, "-o", tmp_path / "run", "--epochs", 1, *CLASSIC) == 0
    assert "left out: 2 unreadable" in capsys.readouterr().out


def test_how_long_it_will_take_is_said_after_some_steps(album, tmp_path, capsys):
    run_train(album, "-o", tmp_path / "run", "--epochs", 3, *CLASSIC)
    printed = capsys.readouterr().out
    assert re.search(r"^an epoch takes about \d+ s, 3 epochs \d+ s$", printed, flags=re.M), printed


def test_a_log_for_tensorboard_has_figures_and_pictures(album, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = tmp_path / "run"
    assert run_train(album, "-o", run, "--epochs", 1, "--tensorboard", *CLASSIC) == 0
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    row = json.loads((run / "log.jsonl").read_text())
    (error,) = events.Scalars("ab_error")
    assert (error.step, error.value) == (row["images"], pytest.approx(row["ab_error"]))
    assert events.Tags()["images"]


def test_without_tensorboard_it_is_said_what_to_install(album, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert run_train(album, "-o", tmp_path / "run", "--tensorboard", *SMALL) == 2
    printed = capsys.readouterr().err
    assert "TensorBoard is not installed" in printed
    assert "pip install tensorboard" in printed


def test_a_compiled_network_is_the_same_network(album, tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda network: torch.nn.Sequential(network))
    for name, more in (("plain", []), ("compiled", ["--compile"])):
        run_train(album, "-o", tmp_path / name, "--epochs", 1, *more, *CLASSIC)
    assert same(*(weights(tmp_path / name / "last.pt") for name in ("plain", "compiled")))


def test_a_new_length_of_a_resumed_run_comes_instead_of_the_old_one(album, tmp_path):
    run = tmp_path / "run"
    run_train(album, "-o", run, "--minutes", 0.02, *CLASSIC)
    longer = train.parse_args(["--resume", str(run), "--epochs", "7"])
    assert (longer.epochs, longer.minutes) == (7, None)
    assert train.parse_args(["--resume", str(run)]).minutes == 0.02


@pytest.mark.parametrize(
    ("length", "hint"),
    [(["--epochs", 2], "--epochs 4 goes on for another 2 epochs"),
     (["--minutes", 0.02], "--minutes 0.[0-9]+ goes on for another 0.02 min")],
)  # fmt: skip
def test_a_finished_run_says_what_goes_on(album, tmp_path, capsys, length, hint):
    run = tmp_path / "run"
    run_train(album, "-o", run, *length, *CLASSIC)
    before = (run / "last.pt").read_bytes()
    capsys.readouterr()
    assert run_train("--resume", run) == 0
    captured = capsys.readouterr()
    assert "done" not in captured.out
    assert f"note: {run}: nothing was done; " in captured.err
    assert "is the total, with those before" in captured.err
    command = re.search(f"hint: python train.py --resume {run} ({hint})", captured.err)
    assert command, captured.err
    assert (run / "last.pt").read_bytes() == before
    assert run_train("--resume", run, *command[1].split()[:2]) == 0
    assert load_checkpoint(run / "last.pt")["state"]["step"] > 4 or length[0] == "--minutes"
    assert "done: " in capsys.readouterr().out


def test_folders_of_photographs_of_the_same_name_are_split_as_others_are(album, tmp_path, capsys):
    for number, path in enumerate(sorted(album.rglob("*.png"))):
        (tmp_path / "albums" / str(number)).mkdir(parents=True)
        path.rename(tmp_path / "albums" / str(number) / "same.png")
    assert run_train(tmp_path / "albums", "-o", tmp_path / "run", "--epochs", 1, *CLASSIC) == 0
    assert "10 photographs to train on, 2 held out" in capsys.readouterr().out


def test_a_run_of_an_earlier_version_goes_on_with_its_split(album, tmp_path, capsys):
    """Photographs were held out by name; settings.json did not say how."""
    run = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("colourizer.training.options.BY_PATH", "name")
        run_train(album, "-o", run, "--epochs", 1, *CLASSIC)
    settings = json.loads((run / "settings.json").read_text())
    assert settings["options"].pop("drawn_by") == "name"
    (run / "settings.json").write_text(json.dumps(settings))
    assert "8 photographs to train on, 4 held out" in capsys.readouterr().out
    assert run_train("--resume", run, "--epochs", 2) == 0
    assert "8 photographs to train on, 4 held out" in capsys.readouterr().out


def test_a_run_that_was_stopped_when_its_time_was_over_is_validated_when_it_goes_on(
    album, tmp_path, monkeypatch, capsys
):
    class StopsAtTheEnd(train.Interrupt):
        asked = False

        @property
        def exit_code(self):
            return 130 if self.asked else 0

        @exit_code.setter
        def exit_code(self, value):
            pass

    def stopping(*args):
        StopsAtTheEnd.asked = True
        return validate(*args)

    run, validate = tmp_path / "run", train.validate
    with monkeypatch.context() as patch:
        patch.setattr(train, "Interrupt", StopsAtTheEnd)
        patch.setattr(train, "validate", stopping)
        assert run_train(album, "-o", run, "--minutes", 0.01, *CLASSIC) == 130
    assert not (run / "log.jsonl").exists()
    assert run_train("--resume", run) == 0
    assert (run / "best.pt").exists()
    assert f"done: {run / 'best.pt'}" in capsys.readouterr().out
