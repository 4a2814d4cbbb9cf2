"""Segments: what is whole on disk stays so when the power fails."""

import os

import pytest
import torch

pytest.importorskip("av", reason="PyAV is not installed")

from colourizer.film.segments import Segment, SegmentStore


def test_all_files_of_a_segment_are_flushed_to_disk(tmp_path, monkeypatch):
    flushed, fsync = set(), os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda number: (flushed.add(os.fstat(number).st_ino), fsync(number))
    )
    with SegmentStore(tmp_path, {}, 1) as store:
        store.finish(store.open_files(), Segment([0], 1, [0], 0, 0), {"ab": torch.zeros(3)})
        files = {path.name for path in tmp_path.iterdir() if path.stat().st_ino in flushed}
    assert files == {"key", "000000_0.packets", "000000.state", "000000.json"}
