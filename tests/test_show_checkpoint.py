"""show_checkpoint.py: what is in a checkpoint, and a small one for sharing."""

import hashlib
import json

import pytest
import torch

import show_checkpoint
import train
from colourizer.network.checkpoint import BUNDLED, build_model, load_checkpoint


def run(*args: object) -> int:
    return show_checkpoint.main([str(arg) for arg in args])


@pytest.fixture
def trained(album, tmp_path, monkeypatch):
    monkeypatch.setattr("colourizer.training.report.draw_progress", lambda *_: None)
    options = ["--epochs", "1", "--size", "32", "--batch-size", "4", "--no-cache"]
    folder = tmp_path / "run"
    train.main([str(album), "-o", str(folder), "--recipe", "scratch", "--device", "cpu", *options])
    return folder


def test_the_bundled_checkpoint_says_what_it_is(capsys):
    assert run(BUNDLED, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sha256"] == hashlib.sha256(BUNDLED.read_bytes()).hexdigest()
    assert found["config"]["encoder"] == "lite1"
    assert found["parameters"] == 7_310_501
    assert (found["precision"], found["goes on"]) == ("half", False)
    assert sum(found["photographs"].values()) > 12_000
    assert found["scores"]["ab_error"] < found["scores"]["grey_ab_error"]
    assert run(BUNDLED) == 0
    printed = capsys.readouterr().out
    assert found["sha256"] in printed
    assert "7,310,501 parameters, weights in half precision" in printed
    assert max(map(len, printed.splitlines())) <= 100


def test_of_a_run_it_says_how_far_that_is(trained, capsys):
    assert run(trained / "last.pt", trained / "best.pt", "--json") == 0
    last, best = (json.loads(line) for line in capsys.readouterr().out.splitlines()[-2:])
    assert (last["goes on"], best["goes on"]) == (True, False)
    assert last["progress"]["step"] == 3
    assert last["scores"] == best["scores"]
    assert best["photographs"] == {"album": 9, "sub": 1}
    assert best["options"]["size"] == 32


@pytest.mark.parametrize("name", ["last.pt", "best.pt"])
def test_what_is_exported_is_the_network_alone_in_half_precision(trained, tmp_path, capsys, name):
    small = tmp_path / "small.pt"
    assert run(trained / name, "--export", small) == 0
    assert f"exported: {small}" in capsys.readouterr().out
    content = load_checkpoint(small)
    assert "state" not in content
    assert content["model"]["head.weight"].dtype == torch.float16
    full = load_checkpoint(trained / name)
    models = [build_model(found, small).eval() for found in (content, full)]
    lightness = torch.rand(1, 1, 64, 64) * 100
    with torch.inference_mode():
        ab = [model.ab_of(model(lightness)) for model in models]
    assert (ab[0] - ab[1]).abs().max() < 0.5
    assert small.stat().st_size < 0.6 * 4 * sum(p.numel() for p in models[0].parameters())
    before = small.read_bytes()
    assert run(trained / name, "--export", small) == 2
    assert small.read_bytes() == before


def test_a_checkpoint_that_cannot_be_used_is_named_and_the_others_shown(tmp_path, capsys):
    (tmp_path / "torn.pt").write_bytes(b"torn")
    assert run(tmp_path / "torn.pt", BUNDLED) == 1
    captured = capsys.readouterr()
    assert f"error: {tmp_path / 'torn.pt'}: not a checkpoint" in captured.err
    assert str(BUNDLED) in captured.out


def test_export_takes_one_checkpoint(capsys):
    with pytest.raises(SystemExit) as exit_info:
        run(BUNDLED, BUNDLED, "--export", "x.pt")
    assert exit_info.value.code == 2
    assert "takes one CHECKPOINT" in capsys.readouterr().err
