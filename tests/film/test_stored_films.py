"""Films of storages: copied, coloured and sent whole; nothing is left on the local disk."""

import errno
import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import namedtuple
from pathlib import Path, PurePosixPath

import fsspec
import pytest
import torch

av = pytest.importorskip("av", reason="PyAV is not installed")

from support.films import Film, make_film, read_frames  # noqa: E402
from support.s3_server import s3_buckets  # noqa: E402
from support.scenes import ROOT, scene  # noqa: E402

from colourizer.colourizing import plan  # noqa: E402
from colourizer.film import job, pictures, stored_films  # noqa: E402
from colourizer.film.coherence import FilmColours  # noqa: E402
from colourizer.film.stored_films import colourize_found_film, plan_film  # noqa: E402
from colourizer.inference.colourizer import Colourizer  # noqa: E402
from colourizer.inference.output_plan import FoundPhoto, OutputOptions  # noqa: E402
from colourizer.inference.run import ColourOptions, start_run  # noqa: E402
from colourizer.record.report import read_rows  # noqa: E402
from colourizer.runtime.interrupt import Interrupt  # noqa: E402
from colourizer.runtime.temporary_folder import ROOM_HINT  # noqa: E402
from colourizer.storage import files  # noqa: E402
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


class PowerFailure(BaseException):
    """What no code that could clean up notices in time."""


def test_a_film_goes_on_from_its_last_whole_segment(memory, tmp_path, run, monkeypatch):
    monkeypatch.setattr(pictures, "SEGMENT_SECONDS", 0.08)
    fetched, finished = [], []
    fetch, finish = stored_films.fetch_copy, job.SegmentStore.finish
    monkeypatch.setattr(
        stored_films, "fetch_copy", lambda *args: (fetched.append(1), fetch(*args))[1]
    )

    def fail_after_one(store, *args):
        finish(store, *args)
        finished.append(len(store.segments))
        if finished == [1]:
            raise PowerFailure

    monkeypatch.setattr(job.SegmentStore, "finish", fail_after_one)
    options = ("memory://scans/1931/film.mp4", "-o", "memory://out")
    with pytest.raises(PowerFailure):
        run(*options)
    assert len(list((tmp_path / "temp").iterdir())) == 1
    assert run(*options)[1] == ["memory://out/film.mp4"]
    assert finished == [1, 2, 3]  # the first one only once
    assert len(fetched) == 1
    assert list((tmp_path / "temp").iterdir()) == []
    (tmp_path / "copy.mp4").write_bytes(memory.cat_file("/out/film.mp4"))
    assert len(read_frames(tmp_path / "copy.mp4")) == 5


def test_a_film_that_could_not_be_sent_is_sent_by_the_next_run(memory, tmp_path, run, monkeypatch):
    report = tmp_path / "report.jsonl"
    options = ("memory://scans/1931/film.mp4", "-o", "memory://out", "--report", report)
    with monkeypatch.context() as patch:
        patch.setattr(type(memory), "put_file", lambda *_: 1 / 0)
        assert run(*options)[0] == 1
    monkeypatch.setattr(FilmColours, "colourize_batch", None)
    assert run(*options)[1] == ["memory://out/film.mp4"]
    assert run("--verify", report)[2] == "1 outputs: 1 as recorded\n"
    assert list((tmp_path / "temp").iterdir()) == []


def test_a_film_for_whose_copy_there_is_no_room_does_not_end_the_run(
    memory, tmp_path, run, monkeypatch
):
    """As memory for temporary files ends before the disk of the results does."""
    copy = stored_films.fetch_copy

    def fail_first(address, folder):
        if address.name == "a.mp4":
            with files.full_disk_errors(folder):
                raise OSError(errno.ENOSPC, "No space left on device")
        return copy(address, folder)

    monkeypatch.setattr(stored_films, "fetch_copy", fail_first)
    memory.cp_file("/scans/1931/film.mp4", "/scans/1931/a.mp4")
    code, out, err = run("memory://scans/1931", "-o", tmp_path / "out")
    assert (code, out) == (1, [str(tmp_path / "out" / "film.mp4")]), err
    said = f"error: memory://scans/1931/a.mp4: the disk of {tmp_path / 'temp'} is full"
    assert f"{said}\nhint: {ROOM_HINT}\n" in err


def test_a_film_of_other_settings_begins_anew(memory, tmp_path, run, monkeypatch):
    options = ("memory://scans/1931/film.mp4", "-o", "memory://out")
    with monkeypatch.context() as patch:
        patch.setattr(type(memory), "put_file", lambda *_: 1 / 0)
        assert run(*options)[0] == 1
    monkeypatch.setattr(FilmColours, "colourize_batch", None)
    code, _, err = run(*options, "--vividness", "0.1")
    assert code == 1
    assert "film.mp4" in err


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_a_killed_film_goes_on_and_loses_and_doubles_no_frame(tmp_path, checkpoint_file):
    source = make_film(tmp_path / "film.mp4", Film(frames=60))
    (tmp_path / "temp").mkdir()
    program = (
        "import sys, colourize; from colourizer.film import pictures;"
        "pictures.SEGMENT_SECONDS = 0.4; sys.exit(colourize.main())"
    )
    command = [sys.executable, "-c", program, "s3://scans", "-o", "s3://colour", "--checkpoint"]
    environment = {"TMPDIR": str(tmp_path / "temp"), "PYTHONPATH": str(ROOT)}

    def count() -> int:
        return len(list((tmp_path / "temp").glob("*/coloured/.*/*.json")))

    with s3_buckets() as (_, storage):
        storage.put_file(str(source), "scans/film.mp4")
        for _ in range(3):
            there = count()
            run = subprocess.Popen([*command, checkpoint_file], env=os.environ | environment)
            while run.poll() is None and count() < there + 2:
                time.sleep(0.01)
            run.kill()
            run.wait()
            assert count() >= there + 2
        subprocess.run([*command, checkpoint_file], env=os.environ | environment, check=True)
        storage.get_file("colour/film.mp4", str(tmp_path / "copy.mp4"))
    assert len(read_frames(tmp_path / "copy.mp4")) == 60
    assert list((tmp_path / "temp").iterdir()) == []


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


def test_a_local_disk_that_is_full_ends_the_run(memory, tmp_path, run, monkeypatch):
    memory.copy("/scans/1931/film.mp4", "/scans/1931/film2.mp4")

    def fill(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(job, "write_atomically", fill)
    code, out, err = run("memory://scans", "-o", tmp_path / "out")
    assert (code, out) == (1, [str(tmp_path / "out" / "photo.png")])
    assert "film.mp4: cannot be written (no space left on device)" in err
    assert "film2.mp4" not in err
    assert "the disk is full" in err


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
    monkeypatch.setattr(plan, "can_read_films", lambda: False)
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
