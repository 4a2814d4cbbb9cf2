"""Tests that take minutes: killed runs, many photographs, odd images; run with -m long."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.scenes import ROOT, scene

from colourizer.network.checkpoint import load_checkpoint
from colourizer.photos.files import SUFFIXES, find_photos
from colourizer.photos.read import read_photo

pytestmark = pytest.mark.long


def start_colourize(*args: object) -> subprocess.Popen:
    command = [sys.executable, str(ROOT / "colourize.py"), *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def peak_memory(*args: object) -> tuple[int, str]:
    """Run the command; return its peak memory in bytes, and its stderr."""
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=-3); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = [sys.executable, "-c", code, sys.executable, str(ROOT / "colourize.py")]
    done = subprocess.run([*command, *map(str, args)], capture_output=True, text=True, check=False)
    return int(done.stdout.split()[-1]) * 1024, done.stderr


def test_killed_at_20_moments_nothing_is_torn_lost_or_done_twice(tmp_path, checkpoint_file):
    album, out = tmp_path / "album", tmp_path / "out"
    album.mkdir()
    for i in range(400):
        scene(i % 20, 320, 240).resize((640, 480)).save(album / f"{i}.jpg", quality=95)
    chance = random.Random(0)
    times: dict[Path, int] = {}
    for _ in range(20):
        process = start_colourize(album, "-o", out, "--checkpoint", checkpoint_file)
        time.sleep(2 + 3 * chance.random())
        process.send_signal(signal.SIGKILL)
        process.communicate()
        for path in find_photos(out):
            Image.open(path).load()  # whole
            assert times.setdefault(path, path.stat().st_mtime_ns) == path.stat().st_mtime_ns
    process = start_colourize(album, "-o", out, "--checkpoint", checkpoint_file)
    process.communicate(timeout=300)
    assert process.returncode == 0
    assert len(find_photos(out)) == 400
    assert all(path.stat().st_mtime_ns == then for path, then in times.items())
    assert list(out.glob(".part-*")) == []


def test_training_killed_at_20_moments_goes_on_and_ends_bit_equal(tmp_path):
    album = tmp_path / "album"
    album.mkdir()
    for i in range(24):
        scene(i).save(album / f"{i}.png")
    # Saved after every step, so that many of the kills fall into a save.
    options = ["--size", "32", "--batch-size", "4", "--epochs", "60", "--recipe", "scratch"]
    options += ["--save-minutes", "0", "--aged", "0.5", "--device", "cpu", "--no-cache"]

    def start_training(*args: object) -> subprocess.Popen:
        command = [sys.executable, str(ROOT / "train.py"), *map(str, args)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    unbroken = start_training(album, "-o", tmp_path / "unbroken", *options)
    assert unbroken.communicate(timeout=600) and unbroken.returncode == 0
    run = tmp_path / "killed"
    chance = random.Random(0)
    ends = []
    for _ in range(20):
        begun = (run / "settings.json").exists()
        more = ["--resume", run] if begun else [album, "-o", run, *options]
        process = start_training(*more)
        time.sleep(3 + 6 * chance.random())
        process.send_signal(signal.SIGKILL)
        _, err = process.communicate()
        ends.append((process.returncode, err))
        if (run / "last.pt").exists():
            load_checkpoint(run / "last.pt")  # never unreadable
    assert all(code in (0, -signal.SIGKILL) for code, _ in ends), ends
    assert sum(code == -signal.SIGKILL for code, _ in ends) >= 15
    process = start_training("--resume", run)
    assert process.communicate(timeout=600) and process.returncode == 0
    assert list(run.glob(".part-*")) == []
    for name in ("last.pt", "best.pt"):
        one, two = (load_checkpoint(folder / name) for folder in (run, tmp_path / "unbroken"))
        for part in {"model", "training"} & one.keys():
            assert all(torch.equal(one[part][key], two[part][key]) for key in one[part])


def test_memory_does_not_grow_with_the_number_of_photographs(tmp_path, checkpoint_file):
    peaks = []
    for count in (1000, 20_000):
        album = tmp_path / str(count)
        album.mkdir()
        scene(0).save(album / "0.jpg")
        for i in range(1, count):
            (album / f"{i}.jpg").hardlink_to(album / "0.jpg")
        peak, err = peak_memory(
            album, "-o", tmp_path / f"{count}-out", "--checkpoint", checkpoint_file
        )
        assert f"{count} colourized" in err
        peaks.append(peak)
    assert peaks[1] - peaks[0] < 50e6


def test_a_dry_run_over_100_000_files_is_quick(tmp_path):
    for i in range(100):
        (tmp_path / "in" / str(i)).mkdir(parents=True)
        for j in range(1000):
            (tmp_path / "in" / str(i) / f"{j}.jpg").touch()
    begun = time.monotonic()
    process = start_colourize(tmp_path / "in", "-o", tmp_path / "out", "--dry-run")
    out, _ = process.communicate()
    print(f"dry run: {time.monotonic() - begun:.1f} s")
    assert len(out.splitlines()) == 100_000


def test_a_scan_of_100_megapixels_stops_within_5_seconds(tmp_path):
    rows = np.linspace(0, 255, 10_000, dtype=np.uint8)
    Image.fromarray(np.tile(rows, (10_000, 1))).save(tmp_path / "scan.png", compress_level=1)
    process = start_colourize(tmp_path / "scan.png", "-o", tmp_path / "out")
    time.sleep(6)
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode in (0, 130)
    assert time.monotonic() - begun < 5.5
    assert list(tmp_path.rglob(".part-*")) == []


def test_every_odd_image_is_coloured_or_named(tmp_path):
    """ODD_IMAGES names a folder of them, such as Tests/images of Pillow's source archive."""
    folder = os.environ.get("ODD_IMAGES")
    if not folder:
        pytest.skip("ODD_IMAGES names no folder")
    photos = find_photos(Path(folder))
    process = start_colourize(folder, "-o", tmp_path / "out", "--json")
    out, err = process.communicate(timeout=1800)
    rows = [json.loads(line) for line in out.splitlines()]
    assert "Traceback" not in err
    assert process.returncode in (0, 1)
    assert len(rows) == len(photos) > 0
    assert {row["source"] for row in rows} == set(map(str, photos))
    for row in rows:
        assert row["result"] == "colourized" or row["reason"]
        for name in row["files"]:
            if Path(name).suffix.lower() in SUFFIXES:
                assert read_photo(Path(name)).pixels.size
    counts = {kind: sum(row["result"] == kind for row in rows) for kind in ("colourized", "failed")}
    print(f"{len(rows)} odd images: {counts}")


def test_every_odd_image_is_shown_on_the_page_or_its_card_says_why(checkpoint_file):
    """As above; and every file there, whatever its name, as somebody may drop it."""
    folder = os.environ.get("ODD_IMAGES")
    if not folder:
        pytest.skip("ODD_IMAGES names no folder")
    pytest.importorskip("uvicorn")
    from support.page_client import Client

    command = [sys.executable, str(ROOT / "app.py"), "--port", "0", "--checkpoint"]
    process = subprocess.Popen(
        [*command, str(checkpoint_file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    client = Client.of_address(process.stdout.readline())
    answers: dict[int, int] = {}
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    for path in files:
        status, answer = client.upload(path.read_bytes(), path.name)
        answers[status] = answers.get(status, 0) + 1
        if status == 200:
            for what in ("before", "coloured", "download"):
                assert client.get(f"/api/photos/{answer['id']}/{what}")[0] == 200, path
            assert client.post("/api/forget", [answer["id"]])[0] == 204
        else:
            assert status in (413, 422), (path, answer)
            assert 3 < len(answer["error"]) < 300, path
    process.terminate()
    _, err = process.communicate(timeout=20)
    assert "error: " not in err  # libtiff prints warnings of its own
    assert "Traceback" not in err
    assert sum(answers.values()) == len(files) > 0
    print(f"{len(files)} files dropped: {answers}")
