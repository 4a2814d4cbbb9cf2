"""options.py: defaults, recipes, and options that go through settings.json and back."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from colourizer.network.checkpoint import BUNDLED
from colourizer.training.options import parse_args
from colourizer.training.run_folder import write_settings


def test_the_defaults_are_the_users():
    args = parse_args([])
    assert (args.loss, args.batch_size, args.size, args.weight_decay) == ("l1", 30, 256, 0)
    assert args.photos == ["data/transformed"]
    assert (args.cache, parse_args(["--no-cache"]).cache) == ("data/cache", None)


def test_a_recipe_stands_for_options_and_what_is_said_besides_comes_first():
    best = parse_args(["--recipe", "best"])
    assert (best.loss, best.encoder, best.batch_size) == ("bins", "lite1", 30)
    assert parse_args(["--recipe", "best", "--loss", "l1"]).loss == "l1"
    mine = parse_args(["--recipe", "fine-tune", "--minutes", "3"])
    assert (Path(mine.start_from), mine.minutes) == (BUNDLED, 3)
    further = parse_args(["--recipe", "best", "--start-from", "a.pt"])
    assert further.start_from == "a.pt"


def test_one_line_fine_tunes_the_bundled_checkpoint():
    args = parse_args(["my_photos"])
    assert (Path(args.start_from), args.minutes, args.epochs) == (BUNDLED, 10, None)
    assert (args.loss, args.batch_size, args.size) == ("l1", 30, 256)
    assert parse_args(["my_photos", "--epochs", "3"]).minutes is None
    for new in (["--recipe", "scratch"], ["--model", "classic"], ["--encoder", "lite2"]):
        args = parse_args(["my_photos", *new])
        assert (args.start_from, args.minutes, args.epochs) == (None, None, 90)
    assert parse_args(["x", "--start-from", "a.pt"]).start_from == "a.pt"


def test_a_resumed_run_has_the_options_of_its_settings(tmp_path):
    given = ["x", "-o", str(tmp_path), "--recipe", "best", "--size", "96", "--no-cache"]
    options = parse_args([*given, "--seed", "7"])
    write_settings(tmp_path, {"options": asdict(options)})
    resumed = parse_args(["--resume", str(tmp_path)])
    assert asdict(resumed) == asdict(options) | {"resume": str(tmp_path)}


def test_settings_of_other_versions_are_read(tmp_path):
    saved = asdict(parse_args(["x", "-o", str(tmp_path), "--epochs", "4"]))
    del saved["tensorboard"], saved["compile"]
    (tmp_path / "settings.json").write_text(json.dumps({"options": saved | {"of_old": 3}}))
    resumed = parse_args(["--resume", str(tmp_path)])
    assert (resumed.epochs, resumed.tensorboard, resumed.compile) == (4, False, False)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("size", "big", 'is "big", not a whole number'),
        ("size", 64.5, "is 64.5, not a whole number"),
        ("size", None, "is null, not a whole number"),
        ("size", 3, "is 3: at least 32"),
        ("epochs", [], "is [], not a whole number or null"),
        ("epochs", True, "is true, not a whole number or null"),
        ("minutes", "ten", 'is "ten", not a number or null'),
        ("learning_rate", {}, "is {}, not a number"),
        ("aged", float("nan"), "is nan: between 0 and 1"),
        ("compile", 1, "is 1, not true or false"),
        ("photos", "x", 'is "x", not a list of texts'),
        ("photos", [1], "is [1], not a list of texts"),
        ("start_from", 7, "is 7, not a text or null"),
        ("loss", "l2", 'is "l2", not one of l1, bins'),
        ("freeze_encoder", 9, "is 9, not one of 0, 1, 2, 3, 4"),
        ("drawn_by", 0, "is 0, not a text"),
    ],
)
def test_settings_that_no_run_has_written_are_named_with_their_file(
    tmp_path, capsys, name, value, said
):
    saved = asdict(parse_args(["x", "-o", str(tmp_path), "--epochs", "4"]))
    write_settings(tmp_path, {"options": saved | {name: value}})
    with pytest.raises(SystemExit) as exit_info:
        parse_args(["--resume", str(tmp_path)])
    assert exit_info.value.code == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert f'error: {tmp_path / "settings.json"}: "{name}" {said}' in error
    assert (
        f"; put there what the run began with, or begin another with --start-from {tmp_path}"
        in (error)
    )


def test_a_run_s_own_settings_are_never_refused(tmp_path):
    many = ["--minutes", "3", "--final-size", "64", "--aged", "1", "--seed", "-5", "--consistency"]
    for given in (
        ["--model", "classic"],
        ["--recipe", "best"],
        [],
        [*many, "2", "--device", "cpu"],
    ):
        options = parse_args(["x", "-o", str(tmp_path), *given])
        write_settings(tmp_path, {"options": asdict(options) | {"device": "mps"}})
        resumed = parse_args(["--resume", str(tmp_path), "--device", "cpu"])
        assert resumed.learning_rate == options.learning_rate


def test_of_paths_a_checkpoint_keeps_the_last_part_only(tmp_path):
    options = parse_args([str(tmp_path / "mine"), "-o", str(tmp_path / "run"), "--seed", "3"])
    shared = options.without_paths()
    assert str(tmp_path) not in str(shared)
    assert (shared["photos"], shared["output"], shared["seed"]) == (["mine"], "run", 3)
    assert Path(options.output) == options.run == tmp_path / "run"


def test_what_has_no_effect_beside_another_option_is_refused(capsys):
    with pytest.raises(SystemExit):
        parse_args(["--start-from", "a.pt", "--encoder", "lite2"])
    assert "--encoder: has no effect beside --start-from" in capsys.readouterr().err
