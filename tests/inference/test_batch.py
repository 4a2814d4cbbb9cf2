"""batch.py and streaming.py: an error that is no photograph's own comes out as it is."""

from pathlib import Path, PurePath
from unittest.mock import Mock

import pytest

from colourizer.inference import batch, streaming
from colourizer.inference.output_plan import FoundPhoto, Job, OutputOptions
from colourizer.inference.run import ColourOptions


def fail(_group: object, run: object) -> None:
    raise RuntimeError("can't start new thread")


def test_an_error_in_a_thread_is_raised_as_it_is(monkeypatch, tmp_path):
    monkeypatch.setattr(batch, "colourize_group", fail)
    monkeypatch.setattr(streaming, "colourize_found", fail)
    colourizer = Mock(batch_size=1)
    jobs = [Job(Path("a.png"), [tmp_path / "a.png"])]
    how = colourizer, OutputOptions(tmp_path), ColourOptions(), Mock(exit_code=0)
    with pytest.raises(RuntimeError, match="new thread"):
        list(batch.colourize_jobs(jobs, *how))
    found = [FoundPhoto(Path("a.png"), PurePath("a.png"), False)]
    with pytest.raises(RuntimeError, match="new thread"):
        list(streaming.colourize_streamed(found, *how, Mock()))
