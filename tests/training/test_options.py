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
