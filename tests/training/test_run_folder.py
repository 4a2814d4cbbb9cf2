"""run_folder.py: what lies in a run's folder is whole, and found again."""

import os

import pytest
import torch

from colourizer.network.checkpoint import CheckpointError, model_content, save_checkpoint
from colourizer.network.classic_cnn import ClassicCNN
from colourizer.training import run_folder
from colourizer.training.run_folder import (
    holds_run,
    load_last,
    read_log,
    read_settings,
    save_last,
    saved_any,
    write_log,
    write_settings,
)


def content(step: int) -> dict:
    saved = model_content(ClassicCNN(), half=False)
    return saved | {"state": {"step": step}, "training": {}, "optimizer": {}}


def test_the_newest_and_the_one_before_are_kept(tmp_path):
    assert not holds_run(tmp_path)
    assert not saved_any(tmp_path)
    for step in (1, 2, 3):
        save_last(tmp_path, content(step))
        assert saved_any(tmp_path)
    assert load_last(tmp_path)[1]["state"] == {"step": 3}
    assert torch.load(tmp_path / "previous.pt")["state"] == {"step": 2}
    assert {path.name for path in tmp_path.iterdir()} == {"last.pt", "previous.pt"}


@pytest.mark.parametrize("links", [True, False])
def test_a_damaged_newest_one_is_replaced_by_the_one_before(tmp_path, monkeypatch, capsys, links):
    if not links:

        def refuse(*_):
            raise OSError("no links here")

        monkeypatch.setattr(os, "link", refuse)
    for step in (1, 2):
        save_last(tmp_path, content(step))
    (tmp_path / "last.pt").write_bytes(b"torn")
    path, found = load_last(tmp_path)
    assert (path, found["state"]) == (tmp_path / "previous.pt", {"step": 1})
    assert f"{tmp_path / 'last.pt'}: not a checkpoint" in capsys.readouterr().err
    save_last(tmp_path, content(5))  # the damaged one does not become the one before
    assert torch.load(tmp_path / "previous.pt")["state"] == {"step": 1}


def test_what_fails_to_be_saved_leaves_both(tmp_path, monkeypatch):
    for step in (1, 2):
        save_last(tmp_path, content(step))

    def full(*_):
        raise OSError("full")

    monkeypatch.setattr(run_folder, "save_checkpoint", full)
    with pytest.raises(OSError, match="full"):
        save_last(tmp_path, content(3))
    assert load_last(tmp_path)[1]["state"] == {"step": 2}


def test_a_checkpoint_of_no_run_cannot_be_gone_on_from(tmp_path):
    save_checkpoint(tmp_path / "last.pt", model_content(ClassicCNN(), half=True))
    with pytest.raises(CheckpointError, match="holds no run that can go on"):
        load_last(tmp_path)


def test_settings_and_log_are_read_as_they_were_written(tmp_path):
    run = tmp_path / "new"
    settings = {"options": {"size": 32}}
    log = [{"epoch": 1, "ab_error": 12.5}, {"epoch": 2, "ab_error": None}]
    write_settings(run, settings)
    write_log(run, log)
    assert (read_settings(run), read_log(run)) == (settings, log)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"options": 3}', "7"])
def test_what_is_no_settings_or_log_is_refused(tmp_path, text):
    for name, read in (("settings.json", read_settings), ("log.jsonl", read_log)):
        (tmp_path / name).write_text(text)
        with pytest.raises(ValueError):
            read(tmp_path)
