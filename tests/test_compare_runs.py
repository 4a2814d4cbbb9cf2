"""compare_runs.py: several runs in one picture."""

import json
from pathlib import Path

import pytest
from PIL import Image

import compare_runs


def make_run(folder: Path, errors: list[float], grey: float = 18.0) -> Path:
    folder.mkdir(parents=True)
    rows = [
        {
            "epoch": n, "images": 100 * n, "seconds": 10 * n, "loss": 1 / n, "validation_loss": 1,
            "ab_error": error, "grey_ab_error": grey, "rgb_psnr": 23, "grey_rgb_psnr": 22,
            "colourfulness_ratio": 0.5, "learning_rate": 1e-3, "images_per_s": 10,
        }
        for n, error in enumerate(errors, start=1)
    ]  # fmt: skip
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def run(*args: object) -> int:
    return compare_runs.main([str(arg) for arg in args])


@pytest.mark.parametrize("by", ["images", "epoch", "seconds"])
def test_runs_are_laid_over_each_other_and_named(tmp_path, capsys, by):
    one, two = make_run(tmp_path / "a" / "mine", [17, 15, 16]), make_run(tmp_path / "b", [16, 14])
    assert run(one, two, "-o", tmp_path / "c.png", "--by", by) == 0
    with Image.open(tmp_path / "c.png") as picture:
        assert picture.width > 800
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "mine: best ab error 15.00 (grey 18.00) after epoch 2, 200 images, 20 s"
    assert printed[1].startswith("b: best ab error 14.00")
    assert printed[2] == str(tmp_path / "c.png")


def test_runs_of_the_same_name_are_told_apart(tmp_path):
    assert compare_runs.name_runs([Path("a/run"), Path("b/run")]) == ["a/run", "b/run"]
    assert compare_runs.name_runs([Path("a/run"), Path("a/run")])[0] == "run"


def test_a_run_without_a_log_is_named_and_the_others_drawn(tmp_path, capsys):
    one = make_run(tmp_path / "one", [17])
    (tmp_path / "two").mkdir()
    assert run(one, tmp_path / "two", "-o", tmp_path / "c.png") == 1
    captured = capsys.readouterr()
    assert f"{tmp_path / 'two'}: no readable log.jsonl there" in captured.err
    assert "one: best" in captured.out
    assert run(tmp_path / "two", "-o", tmp_path / "d.png") == 2
    assert not (tmp_path / "d.png").exists()


def test_the_picture_lies_beside_the_first_run(tmp_path, capsys, monkeypatch):
    one, two = make_run(tmp_path / "runs" / "one", [17]), make_run(tmp_path / "else" / "two", [16])
    assert run(one, two) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "runs" / "comparison.png")
    assert (tmp_path / "runs" / "comparison.png").exists()
    monkeypatch.chdir(two)
    assert run(".", one) == 0
    assert (tmp_path / "else" / "comparison.png").exists()


def test_it_is_said_which_runs_were_judged_on_other_photographs(tmp_path, capsys):
    runs = [make_run(tmp_path / name, [17], grey) for name, grey in (("a", 18), ("b", 17.9))]
    runs.append(make_run(tmp_path / "c", [17], 18.003))  # as on a GPU
    assert run(*runs) == 0
    error = capsys.readouterr().err
    assert "note: a was judged on other photographs than b: their errors" in error
    assert run(runs[0], runs[2], "--overwrite") == 0
    assert capsys.readouterr().err == ""


def test_a_picture_is_never_overwritten_unasked(tmp_path, capsys):
    one = make_run(tmp_path / "one", [17])
    (tmp_path / "c.png").write_bytes(b"mine")
    assert run(one, "-o", tmp_path / "c.png") == 2
    assert (tmp_path / "c.png").read_bytes() == b"mine"
    assert "--overwrite" in capsys.readouterr().err
    assert run(one, "-o", tmp_path / "c.png", "--overwrite") == 0
    assert (tmp_path / "c.png").read_bytes() != b"mine"
    assert run(one, "-o", tmp_path / "none" / "c.png") == 1
