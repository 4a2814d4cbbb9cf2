"""Films of storages: copied, coloured and sent whole; nothing is left on the local disk."""

import io
import shutil
import tempfile
from collections import namedtuple
from pathlib import Path, PurePosixPath

import fsspec
import pytest
import torch

av = pytest.importorskip("av", reason="PyAV is not installed")

from support.films import Film, make_film, read_frames  # noqa: E402
from support.scenes import scene  # noqa: E402

import colourize  # noqa: E402
from colourizer.film import stored_films  # noqa: E402
from colourizer.film.coherence import FilmColours  # noqa: E402
from colourizer.film.stored_films import colourize_found_film, plan_film  # noqa: E402
from colourizer.inference.batch import ColourOptions, start_run  # noqa: E402
from colourizer.inference.colourizer import Colourizer  # noqa: E402
from colourizer.inference.output_plan import FoundPhoto, OutputOptions  # noqa: E402
from colourizer.record.report import read_rows  # noqa: E402
from colourizer.runtime.interrupt import Interrupt  # noqa: E402
from colourizer.storage.address import parse_location  # noqa: E402

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """The storage memory://, with a film and a photograph; temporary files are in `temp`."""
    monkeypatch.setattr(FilmColours, "colourize_batch", lambda self, frames, hints=(): [
        torch.tensor([[[[40.0, -30.0]], [[-20.0, 50.0]]]]) for _ in frames])  # fmt: skip
    (tmp_path / "temp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temp"))
    storage = fsspec.filesystem("memory")
    storage.store.clear()
    storage.pseudo_dirs[:] = [""]
    make_film(tmp_path / "film.mp4", Film(frames=5))
    storage.pipe_file("/scans/1931/film.mp4", (tmp_path / "film.mp4").read_bytes())
    photo = io.BytesIO()
    scene(0).save(photo, "PNG")
    storage.pipe_file("/scans/photo.png", photo.getvalue())
    return storage


def test_films_come_after_the_photographs_whole_with_a_row_and_once(
    memory, tmp_path, run, monkeypatch
):
    report = tmp_path / "report.jsonl"
    options = ("memory://scans", "-o", "memory://out", "--compare", "--report", report)
    planned = run(*options, "--dry-run")[1]
    code, out, err = run(*options)
    assert (code, out) == (0, planned), err
    assert out[2:] == [f"memory://out/1931/film.mp4{end}" for end in ("", "_compared.mp4")]
    assert "2 colourized, 0 skipped, 0 failed" in err
    for name in out[2:]:
        (tmp_path / "copy.mp4").write_bytes(memory.cat_file(name.removeprefix("memory:/")))
        assert len(read_frames(tmp_path / "copy.mp4")) == 5
    assert list((tmp_path / "temp").iterdir()) == []
    rows = [row for row in read_rows(report) if row.source.endswith("film.mp4")]
    assert [row.output for row in rows] == out[2:]
    assert all(row.output_sha256 and row.settings.network for row in rows)
    assert run("--verify", report)[2] == "4 outputs: 4 as recorded\n"
    monkeypatch.setattr(stored_films, "fetch_copy", None)
    assert "0 colourized, 2 skipped, 0 failed" in run(*options)[2]


def test_without_room_for_a_film_only_the_film_fails_and_says_how_to_have_it(
    memory, tmp_path, run, monkeypatch
):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10, 9, 1))
    code, out, err = run("memory://scans", "-o", "memory://out")
    assert (code, out) == (1, ["memory://out/photo.png"])
    assert "error: memory://scans/1931/film.mp4: needs 0 MB for temporary files" in err
    assert "hint: the environment variable TMPDIR" in err
    assert "the disk is full" not in err
    assert list((tmp_path / "temp").iterdir()) == []


def test_a_film_needs_its_checkpoint_no_more_once_the_network_is_loaded(
    memory, tmp_path, checkpoint_file
):
    path = Path(shutil.copy(checkpoint_file, tmp_path / "sent.pt"))  # as an actor of Ray does
    colourizer = Colourizer.load(path, "cpu")
    assert colourizer.fingerprint
    path.unlink()
    film = FoundPhoto(tmp_path / "film.mp4", PurePosixPath("film.mp4"), True, True)
    outputs = OutputOptions(tmp_path / "out")
    with start_run(colourizer, outputs, ColourOptions(), Interrupt(), 1) as run:
        outcome = colourize_found_film(film, run)
    assert (outcome.result, outcome.files) == ("colourized", [tmp_path / "out" / "film.mp4"])


def test_without_pyav_films_are_left_out(memory, run, monkeypatch):
    monkeypatch.setattr(colourize, "can_read_films", lambda: False)
    code, out, err = run("memory://scans", "-o", "memory://out")
    assert (code, out) == (0, ["memory://out/photo.png"])
    assert "left out: 1 file that are films" in err


def test_no_two_films_share_a_file():
    names = ["a.mp4", "a.mp4_compared.mp4", "a.mp4_compared_2.mp4", "a.mkv", "A.MP4_Compared.mov"]
    options = OutputOptions(parse_location("s3://out"), compare=True)
    jobs = [
        plan_film(FoundPhoto(parse_location("s3://in") / n, PurePosixPath(n), False, True), options)
        for n in names
    ]
    files = [str(place) for job in jobs for place in job.targets()]
    assert len(set(files)) == 2 * len(names)
    assert files[:2] == ["s3://out/a.mp4", "s3://out/a.mp4_compared.mp4"]
