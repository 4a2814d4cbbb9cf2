"""photo_cache.py: nothing is decoded twice, and whatever befalls a cache, no pixel is wrong."""

import errno
import json
import os
import pickle
import shutil
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import make_dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from support.scenes import scene

from colourizer.curation.duplicates import dhash
from colourizer.curation.screening import measure_photo
from colourizer.photos.errors import PhotoError
from colourizer.photos.files import find_photos
from colourizer.photos.read import read_rgb
from colourizer.runtime import atomic_file
from colourizer.training import file_versions, photo_cache
from colourizer.training.photo_cache import CachedPhotos, PhotoCache


def read(folder: Path, cache: Path | None, side: int = 40) -> tuple[dict, int]:
    """Return photographs by path (pixels, statistics, dhash), and how many were reused."""
    reader = PhotoCache(cache, side)
    photos = dict(reader.read_all(find_photos(folder)))
    looked_up = {
        path: (reader.files.look_up(found.pixels).clone(), found.statistics, found.dhash)
        for path, found in photos.items()
        if not isinstance(found, PhotoError)
    }
    return looked_up, reader.reused


def expect(folder: Path, side: int = 40) -> dict:
    expected = {}
    for path in find_photos(folder):
        image = read_rgb(path, shortest_side=side)
        pixels = torch.from_numpy(np.array(image)).movedim(-1, 0)
        expected[path] = pixels, measure_photo(image), dhash(image)
    return expected


def same(one: dict, two: dict) -> bool:
    return one.keys() == two.keys() and all(
        torch.equal(a[0], b[0]) and a[1] == b[1] and torch.equal(a[2], b[2])
        for a, b in zip(one.values(), two.values(), strict=True)
    )


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three photographs of an album, reduced to 40 pixels, fill a file of the cache."""
    monkeypatch.setattr(photo_cache, "FILE_BYTES", 3 * 40 * 53 * 3)


def test_what_was_decoded_once_is_not_decoded_again(album, tmp_path, monkeypatch, small_files):
    first, reused = read(album, tmp_path / "cache")
    assert reused == 0
    assert same(first, expect(album))
    assert len(list((tmp_path / "cache").rglob("*.pixels"))) == 4
    monkeypatch.setattr(photo_cache, "read_rgb", None)
    again, reused = read(album, tmp_path / "cache")
    assert reused == 12
    assert same(again, first)


def test_pixels_that_somebody_looks_at_stay_as_they_are(album, tmp_path, small_files):
    reader = PhotoCache(tmp_path / "cache", 40)
    paths = find_photos(album)
    looked_at = {
        path: reader.files.look_up(photo.pixels)
        for some in (paths[:2], paths[2:])
        for path, photo in reader.read_all(some)
        if not isinstance(photo, PhotoError)
    }
    assert all(
        torch.equal(looked_at[path], expected[0]) for path, expected in expect(album).items()
    )


def test_only_a_file_that_changed_is_decoded_again(album, tmp_path):
    read(album, tmp_path / "cache")
    scene(99).save(album / "photo3.png")
    again, reused = read(album, tmp_path / "cache")
    assert reused == 11
    assert same(again, expect(album))


def test_what_counts_is_what_a_file_holds_not_where_it_lies(album, tmp_path):
    read(album, tmp_path / "cache")
    shutil.copytree(album, tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "photo0.png").rename(tmp_path / "elsewhere" / "other.png")
    again, reused = read(tmp_path / "elsewhere", tmp_path / "cache")
    assert reused == 12
    assert same(again, expect(tmp_path / "elsewhere"))


def test_a_file_that_changes_while_it_is_read_is_not_kept(album, tmp_path, monkeypatch):
    decode = PhotoCache._decode

    def slow(self, path):
        photo = decode(self, path)
        if path.name == "photo3.png":
            path.write_bytes(path.read_bytes() + b"more")
        return photo

    before = (album / "photo3.png").read_bytes()
    monkeypatch.setattr(PhotoCache, "_decode", slow)
    read(album, tmp_path / "cache")
    monkeypatch.undo()
    (album / "photo3.png").write_bytes(before)
    assert read(album, tmp_path / "cache")[1] == 11


def test_another_size_has_photographs_of_its_own(album, tmp_path):
    read(album, tmp_path / "cache", side=40)
    smaller, reused = read(album, tmp_path / "cache", side=32)
    assert reused == 0
    assert same(smaller, expect(album, side=32))
    assert read(album, tmp_path / "cache", side=40)[1] == 12


def test_measures_that_an_old_cache_does_not_have_are_taken_anew(album, tmp_path, monkeypatch):
    read(album, tmp_path / "cache")
    look = make_dataclass(
        "PhotoStatistics", [("colourfulness", float), ("sepia", float)], frozen=True
    )
    monkeypatch.setattr(photo_cache, "PhotoStatistics", look)
    monkeypatch.setattr(photo_cache, "measure_photo", lambda image: look(1.5, 0.25))
    for known in (0, 12):
        photos, reused = read(album, tmp_path / "cache")
        assert reused == known
        assert all(measured == look(1.5, 0.25) for _, measured, _ in photos.values())


def truncate(content: bytes) -> bytes:
    return content[:-100]


def flip_in_pixels(content: bytes) -> bytes:
    return content[:-5000] + bytes([content[-5000] ^ 1]) + content[-4999:]


def flip_in_index(content: bytes) -> bytes:
    place = content.index(b'"colourfulness": ') + 17
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize(
    ("damage", "left"),
    [
        (truncate, 9),
        (flip_in_pixels, 11),
        (flip_in_index, 9),
        (lambda content: content + b"more", 9),
        (lambda content: content.replace(b"photographs", b"phonographs", 1), 9),
        (lambda content: b"", 9),
        (lambda content: b"\xff\xd8\xff" * 1000, 9),
        (lambda content: b"photographs 00000000 2\n[]", 9),
        (lambda content: b"photographs 0 -1\n", 9),
    ],
)
def test_what_is_damaged_or_foreign_is_decoded_again(album, tmp_path, small_files, damage, left):
    first, _ = read(album, tmp_path / "cache")
    victim = next((tmp_path / "cache").rglob("*.pixels"))
    victim.write_bytes(damage(victim.read_bytes()))
    again, reused = read(album, tmp_path / "cache")
    assert reused == left
    assert same(again, first)
    assert read(album, tmp_path / "cache")[1] == 12


def test_a_deleted_cache_is_made_again_and_who_reads_it_does_not_notice(album, tmp_path):
    def look_up(reader: PhotoCache) -> dict:
        photos = dict(reader.read_all(find_photos(album)))
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        return {
            path: reader.files.look_up(photo.pixels)
            for path, photo in photos.items()
            if not isinstance(photo, PhotoError)
        }

    expected = {path: pixels for path, (pixels, _, _) in expect(album).items()}
    written = look_up(PhotoCache(tmp_path / "cache", 40))
    assert all(torch.equal(written[path], pixels) for path, pixels in expected.items())
    assert read(album, tmp_path / "cache")[1] == 0
    reader = PhotoCache(tmp_path / "cache", 40)
    shutil.rmtree(tmp_path / "cache")
    found = look_up(reader)
    assert reader.reused == 12
    assert all(torch.equal(found[path], pixels) for path, pixels in expected.items())


def test_a_run_that_is_killed_keeps_the_files_that_were_full(album, tmp_path, small_files):
    unfinished = PhotoCache(tmp_path / "cache", 40).read_all(find_photos(album))
    for _ in range(8):
        next(unfinished)
    folder = next((tmp_path / "cache").iterdir())
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = folder / f"{atomic_file.PART}{atomic_file.MACHINE}-{gone.pid}-1"
    left.write_bytes(b"half a file")
    again, reused = read(album, tmp_path / "cache")
    assert reused == 6
    assert same(again, expect(album))
    assert not left.exists()


def test_several_may_fill_a_cache_at_the_same_time(album, tmp_path, small_files):
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: read(album, tmp_path / "cache")[0], range(4)))
    assert all(same(result, expect(album)) for result in results)
    assert read(album, tmp_path / "cache")[1] == 12


def test_a_full_disk_is_said_once_and_photographs_stay_in_memory(
    album, tmp_path, monkeypatch, capsys, small_files
):
    written, write_atomically = [], photo_cache.write_atomically

    def write(path, content):
        if written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(path)
        write_atomically(path, content)

    monkeypatch.setattr(photo_cache, "write_atomically", write)
    photos, _ = read(album, tmp_path / "cache")
    assert same(photos, expect(album))
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "no space left on device; new photographs stay in memory" in printed
    monkeypatch.undo()
    assert read(album, tmp_path / "cache")[1] == 3


@pytest.mark.parametrize("place", ["album/photo0.png", "\udcff"])
def test_a_cache_that_cannot_be_made_is_done_without(album, tmp_path, capfd, place):
    photos, reused = read(album, tmp_path / place)
    assert (reused, same(photos, expect(album))) == (0, True)
    assert "stay in memory" in capfd.readouterr().err
    assert list(tmp_path.rglob("*.pixels")) == []


def test_a_photograph_larger_than_a_file_of_the_cache_gets_one_of_its_own(
    album, tmp_path, monkeypatch
):
    monkeypatch.setattr(photo_cache, "FILE_BYTES", 100)
    scene(12, 40, 100).save(album / "wide.png")
    for reused in (0, 13):
        photos, found = read(album, tmp_path / "cache")
        assert (found, same(photos, expect(album))) == (reused, True)
    assert len(list((tmp_path / "cache").rglob("*.pixels"))) == 13


def test_without_a_cache_nothing_is_hashed_and_nothing_written(album, tmp_path, monkeypatch):
    monkeypatch.setattr(photo_cache, "hashlib", None)
    before = set(tmp_path.rglob("*"))
    photos, reused = read(album, None)
    assert (reused, same(photos, expect(album))) == (0, True)
    assert set(tmp_path.rglob("*")) == before


def test_a_file_that_cannot_be_read_is_named_each_time(album, tmp_path):
    (album / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (album / "link.jpg").symlink_to(album / "nowhere.jpg")
    for _ in range(2):
        results = dict(PhotoCache(tmp_path / "cache", 40).read_all(find_photos(album)))
        errors = {path.name: str(r) for path, r in results.items() if isinstance(r, PhotoError)}
        assert errors.keys() == {"broken.jpg", "link.jpg"}
        assert errors["link.jpg"] == "no such file"
        assert len(results) == 14


def test_other_processes_are_sent_places_not_pixels(album, tmp_path):
    reader = PhotoCache(tmp_path / "cache", 40)
    read_photos = [photo for _, photo in reader.read_all(find_photos(album))]
    in_memory = torch.ones(3, 4, 5, dtype=torch.uint8)
    photos = CachedPhotos([*(photo.pixels for photo in read_photos), in_memory], reader.files)
    sent = pickle.dumps(photos)
    assert len(sent) < 3000
    received = pickle.loads(sent)
    assert len(received) == 13
    assert all(torch.equal(*pair) for pair in zip(photos, received, strict=True))
    assert received[0].data_ptr() != photos[0].data_ptr()


def test_who_writes_into_a_photograph_does_not_change_the_cache(album, tmp_path):
    reader = PhotoCache(tmp_path / "cache", 40)
    photos = [photo for _, photo in reader.read_all(find_photos(album))]
    reader.files.look_up(photos[0].pixels).fill_(7)
    again, reused = read(album, tmp_path / "cache")
    assert (reused, same(again, expect(album))) == (12, True)


def test_what_has_not_changed_is_neither_hashed_nor_verified_again(album, tmp_path, monkeypatch):
    monkeypatch.setattr(file_versions, "CLOCK_STEP", 0)  # the files are new
    first, _ = read(album, tmp_path / "cache")
    monkeypatch.setattr(photo_cache, "hashlib", None)
    monkeypatch.setattr(
        photo_cache.zlib, "crc32", lambda data, crc32=zlib.crc32: crc32(data[:9999])
    )
    again, reused = read(album, tmp_path / "cache")
    assert (reused, same(again, first)) == (12, True)


def test_a_cache_of_an_older_version_is_read_verified_and_from_then_on_trusted(
    album, tmp_path, monkeypatch, small_files
):
    first, _ = read(album, tmp_path / "cache")
    (folder,) = (tmp_path / "cache").iterdir()
    notes = folder / "unchanged.json"
    notes.unlink(missing_ok=True)
    monkeypatch.setattr(file_versions, "CLOCK_STEP", 0)
    assert same(read(album, tmp_path / "cache")[0], first)
    noted = json.loads(notes.read_text())
    assert sorted(row[-1] == "verified" for row in noted.values()) == [False] * 12 + [True] * 4
    victim = next((tmp_path / "cache").rglob("*.pixels"))
    victim.write_bytes(flip_in_pixels(victim.read_bytes()))
    again, reused = read(album, tmp_path / "cache")
    assert (reused, same(again, first)) == (11, True)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_among_photographs_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    ((path, result),) = PhotoCache(tmp_path / "cache", 32).read_all([tmp_path / "a.jpg"])
    assert path == tmp_path / "a.jpg"
    assert str(result) == "not a file"
