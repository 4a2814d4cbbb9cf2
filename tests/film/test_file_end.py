"""file_end.py: a file that was cut off is known from a whole one."""

import random
import shutil
from pathlib import Path

import pytest

av = pytest.importorskip("av", reason="PyAV is not installed")

from support.films import Film, make_film  # noqa: E402

from colourizer.film.file_end import is_cut_off  # noqa: E402

VP9 = {"deadline": "realtime", "cpu-used": "8"}
KINDS = {
    "film.avi": Film(frames=25, sound="mp3", attributes={"max_b_frames": 0}),
    "film.m2ts": Film(frames=25, sound="ac3"),
    "film.ts": Film(frames=25),
    "film.mpg": Film(frames=25, codec="mpeg2video", sound="mp2", options={}),
    "film.mkv": Film(frames=25, sound="flac"),
    "film.webm": Film(frames=25, codec="libvpx-vp9", options=VP9),
    "film.mp4": Film(frames=25, sound="aac"),
    "film.3gp": Film(frames=25),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_film_is_whole_and_what_is_left_of_it_is_cut_off(name, tmp_path):
    path = make_film(tmp_path / name, KINDS[name])
    assert not is_cut_off(path)
    content = path.read_bytes()
    chance = random.Random(0)
    for length in (len(content) - 10, *(chance.randrange(1, len(content)) for _ in range(50))):
        path.write_bytes(content[:length])
        is_between_packets = length % 188 == 0 or length % 192 == 0
        if length > 1024 and not (is_between_packets and name.endswith("ts")):
            assert is_cut_off(path) or name == "film.mpg"


def test_a_program_stream_is_cut_off_within_its_packets_and_not_between_them(tmp_path):
    path = make_film(tmp_path / "film.mpg", KINDS["film.mpg"])
    content = path.read_bytes()
    pack = content.rfind(b"\0\0\1\xba")
    for length, is_cut in ((pack, False), (pack + 5, True), (pack + 17, True), (pack + 40, True)):
        path.write_bytes(content[:length])
        assert is_cut_off(path) == is_cut
    path.write_bytes(content + b"\0\0\1\xb9" + bytes(2048))  # the end of the program, and nothing
    assert not is_cut_off(path)


def test_what_follows_an_avi_or_is_no_film_is_not_cut_off(tmp_path):
    path = make_film(tmp_path / "film.avi", KINDS["film.avi"])
    with path.open("ab") as file:
        file.write(b"some program's own data")
    assert not is_cut_off(path)
    for content in (b"", b"dear aunt Mary", bytes(3000)):
        path.write_bytes(content)
        assert not is_cut_off(path)


def test_an_avi_that_was_never_finished_is_cut_off(tmp_path):
    path = make_film(tmp_path / "film.avi", KINDS["film.avi"])
    content = bytearray(path.read_bytes())
    content[4:8] = bytes(4)
    path.write_bytes(content)
    assert is_cut_off(path)


def test_an_mp4_whose_last_box_has_the_rest_of_the_file_is_whole(tmp_path):
    path = shutil.copy(make_film(tmp_path / "film.mp4", KINDS["film.mp4"]), tmp_path / "copy.mp4")
    with Path(path).open("ab") as file:
        file.write(bytes(4) + b"free" + bytes(100))
    assert not is_cut_off(Path(path))
