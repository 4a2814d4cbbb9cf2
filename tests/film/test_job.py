"""Films as a user meets them: what colourize.py keeps, what it says, what it leaves behind."""

import errno
import hashlib
import io
import json
import os
import random
import re
import signal
import struct
import time
import zipfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

av = pytest.importorskip("av", reason="PyAV is not installed")

from support import warm_process  # noqa: E402
from support.films import (  # noqa: E402
    Film,
    add_subtitles,
    chroma,
    copy_film,
    frame_times,
    luma,
    make_film,
    packet_times,
    packets_of,
    read_frames,
    read_number,
)
from support.scenes import ROOT, scene  # noqa: E402

import colourize  # noqa: E402
from colourizer.colour.space import rgb_to_lab  # noqa: E402
from colourizer.colourizing import plan  # noqa: E402
from colourizer.colourizing.summary import Pace  # noqa: E402
from colourizer.film import container, job, join, pictures, recode  # noqa: E402
from colourizer.film.coherence import FilmColours  # noqa: E402
from colourizer.inference.colourizer import Colourizer  # noqa: E402
from colourizer.inference.readout import DEFAULT_VIVIDNESS  # noqa: E402

# Encoders' settings with which luma comes back as it was: what they lose is not ours to test.
LOSSLESS = {
    "libx264": {"qp": "0", "preset": "ultrafast"},
    "libvpx-vp9": {"lossless": "1", "deadline": "realtime", "cpu-used": "8"},
}
IN_ORDER = {"max_b_frames": 0}
VP9 = {"deadline": "realtime", "cpu-used": "8"}

posix_only = pytest.mark.skipif(os.name != "posix", reason="sends signals, makes pipes")


@pytest.fixture(autouse=True)
def lossless(monkeypatch):
    for codec, options in LOSSLESS.items():
        monkeypatch.setitem(container.OPTIONS_OF_CODEC, codec, options)


@pytest.fixture(scope="module")
def colourizer(checkpoint_file):
    return Colourizer.load(checkpoint_file, "cpu")


def of_two_colours(self, frames, hints=()):
    """Stand in for the network, whose colours are not the subject: one left, another right."""
    return [torch.tensor([[[[40.0, -30.0]], [[-20.0, 50.0]]]]) for _ in frames]


@pytest.fixture
def run(colourizer, capsys, tmp_path, monkeypatch):
    """Call the command; return (exit code, stdout lines, stderr). The output folder is out."""

    def load(options):
        colourizer.look = options.look
        return colourizer

    def call(*args, network=False):
        with monkeypatch.context() as patch:
            patch.setattr(colourize, "load_colourizer", load)
            if not network:
                patch.setattr(FilmColours, "colourize_batch", of_two_colours)
            code = colourize.main([*map(str, args), "-o", str(tmp_path / "out")])
        out, err = capsys.readouterr()
        return code, out.splitlines(), err

    return call


def numbers(path):
    """Return the numbers that are drawn into the frames of a film."""
    shift = {np.dtype(np.uint8): 0, np.dtype(np.uint16): 2}
    lumas = [luma(frame) for frame in read_frames(path)]
    return [read_number(values >> shift[values.dtype]) for values in lumas]


KINDS = {
    "sound.mp4": Film(sound="aac"),
    "times.mkv": Film(
        frames=8, time_base=Fraction(1, 1000), times=[0, 40, 81, 500, 540, 900, 933, 2000]
    ),
    "rotated.mov": Film(frames=6, rotation=90, aspect=Fraction(4, 3)),
    "plain.avi": Film(frames=8, sound="mp3", attributes={"max_b_frames": 0}),
    "web.webm": Film(frames=6, codec="libvpx-vp9", sound="libopus", options=VP9),
    "stream.m2ts": Film(frames=8, sound="ac3"),
    "stream.ts": Film(frames=8, sound="ac3"),
    "flash.flv": Film(frames=8, sound="mp3"),
    "phone.3gp": Film(frames=8, sound="aac", rotation=90),
    "deep.mkv": Film(frames=6, pixel_format="yuv420p10le"),
    "odd.webm": Film(frames=6, codec="libvpx-vp9", size=(47, 63), options=VP9),
    "odd.mkv": Film(frames=6, codec="ffv1", size=(47, 63), options={}),
    "top.mkv": Film(frames=6, fields="tff"),
    "bottom.mp4": Film(frames=6, fields="bff"),
    "one.mp4": Film(frames=1),
    "grey.mkv": Film(frames=6, codec="ffv1", pixel_format="gray", options={}),
    "full.mov": Film(frames=6, codec="mjpeg", pixel_format="yuvj422p", options={}),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_frame_comes_back_once_with_its_luma_time_and_tags(name, tmp_path, run):
    source = make_film(tmp_path / name, KINDS[name])
    code, out, err = run(source)
    assert (code, out) == (0, [str(tmp_path / "out" / name)]), err
    before, after = read_frames(source), read_frames(Path(out[0]))
    assert len(after) == KINDS[name].frames
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(luma(one), luma(other))
        assert one.interlaced_frame == other.interlaced_frame
        assert one.rotation == other.rotation
    times = frame_times(source), frame_times(Path(out[0]))
    # Of AVI, which stores no times, FFmpeg's begin with a delay that it guesses.
    starts = [each[0] if name.endswith(".avi") else 0 for each in times]
    for one, other in zip(*times, strict=True):
        assert float(one - starts[0] - other + starts[1]) == pytest.approx(0, abs=1e-4)
    assert chroma(after[-1]).std() > 1
    assert packets_of(source, "audio") == packets_of(Path(out[0]), "audio")
    with av.open(str(source)) as first, av.open(out[0]) as second:
        one, other = first.streams.video[0], second.streams.video[0]
        assert one.sample_aspect_ratio in (None, 0) or (
            one.sample_aspect_ratio == other.sample_aspect_ratio
        )
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [name]  # no parts


def test_mpeg_programs_stay_what_they_are(tmp_path, run):
    film = Film(frames=10, codec="mpeg2video", sound="mp2", options={})
    source = make_film(tmp_path / "dvd.mpg", film)
    code, out, err = run(source)
    assert code == 0, err
    assert numbers(Path(out[0])) == list(range(10))
    assert packets_of(source, "audio") == packets_of(Path(out[0]), "audio")


@pytest.mark.parametrize("matrix, wanted", [(1, (0.2126, 0.0722)), (6, (0.299, 0.114))])
def test_colours_are_coded_by_the_films_own_matrix_and_the_tag_is_kept(
    matrix, wanted, tmp_path, run, monkeypatch
):
    tags = {"colorspace": matrix, "color_primaries": matrix, "color_trc": matrix, "color_range": 1}
    source = make_film(tmp_path / "tagged.mp4", Film(frames=2, attributes=tags))

    def of_one_colour(self, frames, hints=()):
        return [torch.tensor([30.0, 20.0]).view(1, 2, 1, 1) for _ in frames]

    monkeypatch.setattr(FilmColours, "colourize_batch", of_one_colour)
    code, out, err = run(source, network=True)
    assert code == 0, err
    frame = read_frames(Path(out[0]))[0]
    tagged = frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range
    assert tagged == (matrix, matrix, matrix, 1)
    # Decoded by that matrix, red is more than green, and blue less.
    red_weight, blue_weight = wanted
    cell = luma(frame)[-2:, :2].mean()
    blue, red = ((chroma(frame)[:, -1, 0].astype(float) - 128) / 224).tolist()
    grey = (cell - 16) / 219
    rgb = [grey + 2 * (1 - red_weight) * red, 0.0, grey + 2 * (1 - blue_weight) * blue]
    rgb[1] = (grey - red_weight * rgb[0] - blue_weight * rgb[2]) / (1 - red_weight - blue_weight)
    lab = rgb_to_lab(torch.tensor(rgb).view(3, 1, 1)).flatten()
    assert abs(float(lab[1]) - 30) < 3
    assert abs(float(lab[2]) - 20) < 3


def test_title_and_comment_stay_and_the_comment_says_what_coloured_it(tmp_path, run):
    film = Film(frames=2, metadata={"title": "Harvest", "comment": "reel 3"})
    source = make_film(tmp_path / "reel.mkv", film)
    _, out, _ = run(source)
    with av.open(out[0]) as written:
        metadata = {key.lower(): text for key, text in written.metadata.items()}
    assert metadata["title"] == "Harvest"
    assert metadata["comment"].startswith("reel 3; colourized with Image Colourizer")


def test_subtitles_languages_and_chapters_stay(tmp_path, run):
    plain = make_film(tmp_path / "plain.mkv", Film(frames=30, sound="flac"))
    texts = [b"Good morning.", b"Good night."]
    source = add_subtitles(plain, tmp_path / "film.mkv", texts)
    code, out, err = run(source)
    assert code == 0, err
    assert "note" not in err
    assert packets_of(Path(out[0]), "subtitle") == texts
    assert packets_of(Path(out[0]), "audio") == packets_of(source, "audio")
    with av.open(out[0]) as written:
        assert [stream.type for stream in written.streams] == ["video", "audio", "subtitle"]
        assert written.streams[2].metadata["language"] == "eng"
        assert [chapter["metadata"] for chapter in written.chapters()] == [{"title": "One"}]


@pytest.mark.parametrize("name", ["film.mov", "film.mp4"])
def test_subtitles_of_mp4_and_the_pauses_between_them_stay(name, tmp_path, run):
    suffix = Path(name).suffix
    plain = make_film(tmp_path / f"plain{suffix}", Film(30, sound="aac", attributes=IN_ORDER))
    texts = [b"\0\x0dGood morning.", b"\0\x0bGood night."]
    source = add_subtitles(plain, tmp_path / name, texts)
    code, out, err = run(source)
    assert code == 0, err
    before, after = (packets_of(path, "subtitle") for path in (source, Path(out[0])))
    assert before == after
    assert len(before) > len(texts)  # with pauses


@pytest.mark.parametrize("name", ["tape.mov", "tape.mp4", "tape.mkv"])
def test_time_codes_chapters_and_covers_stay(name, tmp_path, run):
    cover = io.BytesIO()
    scene(0).resize((32, 32)).save(cover, "PNG")
    plain = make_film(
        tmp_path / f"plain{Path(name).suffix}", Film(15, sound="aac", attributes=IN_ORDER)
    )
    source = copy_film(plain, tmp_path / name, cover.getvalue(), timecode="01:00:00:00")
    code, out, err = run(source)
    assert code == 0, err
    assert "note" not in err
    with av.open(str(source)) as before, av.open(out[0]) as after:
        assert len(after.chapters()) == 2
        assert after.chapters() == before.chapters()
        kinds = [[stream.type for stream in container.streams] for container in (before, after)]
        assert kinds[0] == kinds[1]
        codes = [
            [stream.metadata.get("timecode") for stream in container.streams]
            for container in (before, after)
        ]
        assert codes[0] == codes[1]
    assert (name == "tape.mov") == (cover.getvalue() not in packets_of(Path(out[0]), "video"))


@pytest.mark.parametrize("sound", ["mp3", "ac3"])
def test_sound_of_avi_keeps_its_times(sound, tmp_path, run):
    source = make_film(tmp_path / "film.avi", Film(frames=12, sound=sound, attributes=IN_ORDER))
    code, out, err = run(source)
    assert code == 0, err
    assert packet_times(source, "audio") == packet_times(Path(out[0]), "audio")
    block_sizes = []
    for path in (source, Path(out[0])):  # dwSampleSize, 44 bytes behind the stream's type
        content = path.read_bytes()
        block_sizes += struct.unpack_from("<I", content, content.index(b"auds") + 44)
    assert block_sizes == [0, 0]


def test_sound_of_mp4_that_tells_no_layout_of_its_channels_is_copied(tmp_path, run):
    source = tmp_path / "film.mp4"
    plain = make_film(tmp_path / "plain.mp4", Film(frames=4))
    with av.open(str(plain)) as before, av.open(str(source), "w") as after:
        video = after.add_stream_from_template(before.streams[0], opaque=True)
        sound = after.add_stream("pcm_s16le", rate=48_000, layout="mono")
        tone = av.AudioFrame.from_ndarray(np.ones((1, 7680), np.int16), "s16", "mono")
        tone.sample_rate = 48_000
        after.mux(sound.encode(tone))
        for packet in before.demux():
            if packet.dts is not None:
                packet.stream = video
                after.mux(packet)
    with av.open(str(source)) as film:
        assert film.streams.audio[0].codec_context.layout.name == "1 channels"
    code, out, err = run(source)
    assert (code, "note" in err) == (0, False), err
    assert packets_of(Path(out[0]), "audio") == packets_of(source, "audio")


def test_a_recording_that_was_put_together_of_two_parts_is_coloured_with_its_sound(tmp_path, run):
    part = make_film(tmp_path / "part.ts", Film(frames=30, sound="ac3"))
    source = tmp_path / "both.ts"
    source.write_bytes(part.read_bytes() * 2)
    code, out, err = run(source)
    assert code == 0, err
    assert numbers(Path(out[0])) == 2 * list(range(30))
    assert packets_of(Path(out[0]), "audio") == packets_of(source, "audio")
    times = packet_times(Path(out[0]), "audio")
    assert np.diff(times).max() < 0.04  # the second part follows the first


def test_a_packet_that_is_a_little_behind_delays_no_other():
    packets = [av.Packet(b"any") for _ in range(4)]
    last = None
    for packet, dts in zip(packets, (0, 2000, 1900, 2900), strict=True):
        packet.pts = packet.dts = dts
        packet.duration, packet.time_base = 1000, Fraction(1, 90_000)
        join.delay_if_behind(packet, last, may_repeat=False)
        last = packet.dts
    assert [packet.dts for packet in packets] == [0, 2000, 2001, 2900]


def test_grey_png_pictures_are_not_tagged_as_rgb(tmp_path, run):
    film = Film(frames=2, codec="png", pixel_format="gray", size=(47, 63), options={})
    source = make_film(tmp_path / "film.mov", film)
    assert read_frames(source)[0].colorspace == 0  # RGB
    code, out, err = run(source)
    assert code == 0, err
    frame = read_frames(Path(out[0]))[0]
    assert (frame.format.name, frame.colorspace) == ("yuvj444p", 6)  # and not GBR
    np.testing.assert_array_equal(luma(frame), luma(read_frames(source)[0]))


def test_what_pictures_have_beyond_the_encoder_is_said(tmp_path, run):
    film = Film(frames=2, codec="libvpx-vp9", pixel_format="yuva420p", options=VP9)
    source = make_film(tmp_path / "film.webm", film)
    code, out, err = run(source)
    assert code == 0
    assert f"note: {source}: without its alpha channel\n" in err
    with av.open(str(source)) as before, av.open(out[0]) as after:
        tags = [each.streams.video[0].metadata.get("alpha_mode") for each in (before, after)]
        assert tags == ["1", None]
    deep = make_film(tmp_path / "deep.mkv", Film(frames=2, pixel_format="yuv420p10le"))
    _, _, err = run(deep, "--film-codec", "mpeg2video")
    assert f"note: {deep}: without its bits beyond 8 (mpeg2video has none)\n" in err


def test_closed_captions_that_are_lost_are_said(tmp_path, run):
    film = Film(frames=3, codec="mpeg2video", options={}, attributes=IN_ORDER)
    plain = make_film(tmp_path / "plain.mkv", film)
    source = tmp_path / "film.mkv"
    captions = b"\0\0\x01\xb2GA94\x03\x41\xff\xfc\x94\x20\xff"
    with av.open(str(plain)) as before, av.open(str(source), "w") as after:
        stream = after.add_stream_from_template(before.streams[0], opaque=True)
        for packet in before.demux():
            if packet.dts is not None:
                with_captions = bytes(packet).replace(b"\0\0\x01\x01", captions + b"\0\0\x01\x01")
                copy = av.Packet(with_captions)
                copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
                copy.stream = stream
                after.mux(copy)
    code, _, err = run(source)
    assert code == 0
    assert f"note: {source}: without its closed captions\n" in err


def test_a_film_that_begins_late_is_not_cut_off(tmp_path, run):
    plain = make_film(tmp_path / "plain.mkv", Film(10, attributes=IN_ORDER))
    source = copy_film(plain, tmp_path / "late.mkv", later=5)
    code, out, err = run(source)
    assert (code, "note" in err) == (0, False), err
    assert frame_times(Path(out[0])) == frame_times(source)


def test_a_result_in_a_folder_is_not_coloured_again(tmp_path, run):
    source = make_film(tmp_path / "reel.mkv", Film(frames=2))
    _, out, _ = run(source)
    folder = tmp_path / "album"
    folder.mkdir()
    Path(out[0]).rename(folder / "reel.mkv")
    code, out, err = run(folder)
    assert (code, out) == (0, [])
    assert "1 skipped" in err
    assert "in colour already" in err


def test_films_and_photographs_of_a_folder_both_come_out(tmp_path, run):
    folder = tmp_path / "album"
    folder.mkdir()
    scene(0).save(folder / "photo.png")
    make_film(folder / "film.mp4", Film(frames=2))
    code, out, err = run(folder, "--json", "--report", tmp_path / "report.jsonl", "--compare")
    assert code == 0, err
    rows = [json.loads(line) for line in out]
    assert [Path(row["source"]).name for row in rows] == ["photo.png", "film.mp4"]
    assert [len(row["files"]) for row in rows] == [2, 2]
    assert all(Path(path).exists() for row in rows for path in row["files"])
    written = map(json.loads, (tmp_path / "report.jsonl").read_text().splitlines())
    files = [path for row in rows for path in row["files"]]
    assert sorted(row["output"] for row in written) == sorted(files)
    assert re.search(r"2 colourized, 0 skipped, 0 failed \(\S+ photos/s, \S+ frames/s\)", err)


def test_the_pace_of_films_is_said_in_frames_and_other_films_are_left_out_by_name(tmp_path, run):
    folder = tmp_path / "films"
    folder.mkdir()
    make_film(folder / "film.mp4", Film(frames=2))
    (folder / "film.wmv").write_bytes(b"any")
    for said in ("1 colourized, 0 skipped", "0 colourized, 1 skipped"):
        code, _, err = run(folder)
        assert code == 0
        assert re.search(rf"{said}, 0 failed \([\d.]+ frames/s\)", err)
        assert "left out: 1 file of a format that is not read (.wmv)" in err


def test_a_named_film_of_another_format_fails_with_that_format(tmp_path, run):
    source = tmp_path / "film.wmv"
    source.write_bytes(b"0&\xb2u\x8ef\xcf\x11" * 8)
    code, _, err = run(source)
    assert code == 1
    assert f"{source}: of a format that is not read (.wmv)" in err


def test_sound_of_avi_that_mp4_does_not_take_is_left_out_of_the_compared_film(tmp_path, run):
    source = make_film(tmp_path / "film.avi", Film(4, sound="pcm_s16le", attributes=IN_ORDER))
    code, out, err = run(source, "--compare")
    assert (code, len(out)) == (0, 2), err
    assert packets_of(Path(out[0]), "audio") == packets_of(source, "audio")
    assert len(read_frames(Path(out[1]))) == 4


def test_compared_films_are_upright_grey_and_coloured_side_by_side(tmp_path, run):
    source = make_film(tmp_path / "film.mov", Film(frames=4, rotation=90, sound="aac"))
    _, out, _ = run(source, "--compare")
    compared = Path(out[1])
    assert compared.name == "film_compared.mp4"
    frames = read_frames(compared)
    assert len(frames) == 4
    assert (frames[0].width, frames[0].height, frames[0].rotation) == (2 * 48, 64, 0)
    blue = chroma(frames[-1])[0]
    assert np.abs(blue[:, :22].astype(int) - 128).max() <= 1
    assert np.abs(blue[:, 26:].mean(axis=1).astype(int) - 128).max() > 5
    assert packets_of(source, "audio") == packets_of(compared, "audio")


@pytest.mark.parametrize("turns", [0, 1])
def test_a_mirrored_film_is_coloured_and_compared_as_it_is_shown(turns, tmp_path, run, monkeypatch):
    matrix = {0: (-1, 0, 0, 0, 1, 0, 0, 0, 1 << 14), 1: (0, 1, 0, 1, 0, 0, 0, 0, 1 << 14)}[turns]
    plain = make_film(tmp_path / "plain.mp4", Film(frames=2, attributes=IN_ORDER))
    source = tmp_path / "film.mp4"
    with av.open(str(plain)) as before, av.open(str(source), "w") as after:
        stream = after.add_stream_from_template(before.streams[0], opaque=True)
        stream.set_display_matrix([n << 16 for n in matrix])
        for packet in before.demux():
            if packet.dts is not None:
                packet.stream = stream
                after.mux(packet)
    code, out, err = run(source, "--compare")
    assert code == 0, err
    stored, compared = luma(read_frames(source)[0]), luma(read_frames(Path(out[1]))[0])
    shown = stored.T if turns else stored[:, ::-1]
    half = compared.shape[1] // 2
    assert np.abs(compared[:, half:].astype(int) - shown).max() < 4
    # One colour is left, another right, as the film is shown.
    blue = chroma(read_frames(Path(out[0]))[0])[0].astype(int)
    left, right = (blue[0], blue[-1]) if turns else (blue[:, -1], blue[:, 0])
    assert left.mean() > right.mean() + 10


def test_a_dry_run_names_the_films(tmp_path, run):
    source = make_film(tmp_path / "film.mp4", Film(frames=1))
    code, out, _ = run(source, "--dry-run", "--compare")
    assert code == 0
    assert out == [str(tmp_path / "out" / name) for name in ("film.mp4", "film_compared.mp4")]
    assert not (tmp_path / "out").exists()


def test_damaged_films_never_stop_a_folder(tmp_path, run):
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "letter.mp4").write_text("dear aunt Mary")
    (folder / "empty.avi").write_bytes(b"")
    make_film(folder / "none.mkv", Film(frames=0))
    make_film(folder / "sound.mkv", Film(frames=40, sound="flac", options={"g": "10", "crf": "1"}))
    content = (folder / "sound.mkv").read_bytes()
    (folder / "sound.mkv").unlink()
    (folder / "cut.mkv").write_bytes(content[: len(content) // 2])
    hurt = bytearray(content)
    middle = len(hurt) // 2
    hurt[middle : middle + 400] = bytes(400)
    (folder / "hurt.mkv").write_bytes(hurt)
    make_film(folder / "whole.mp4", Film(frames=3))
    for name in ("cut.avi", "cut.mp4", "cut.ts"):  # of MP4 the end is needed to read it
        cut = make_film(folder / name, Film(frames=25, attributes=IN_ORDER))
        cut.write_bytes(cut.read_bytes()[: cut.stat().st_size * 4 // 5 | 1])
    code, out, err = run(folder)
    assert code == 1
    for name in ("letter.mp4", "empty.avi", "none.mkv"):
        assert f"error: {folder / name}: " in err
    assert "cannot be read as a film" in err
    assert re.search(r"error: .*cut.mp4: .*; it is cut off\n", err)
    films = ["cut.avi", "cut.mkv", "cut.ts", "hurt.mkv", "whole.mp4"]
    assert sorted(Path(path).name for path in out) == films
    assert "Traceback" not in err
    # With several threads the decoder also tells that the last frame was cut.
    cut_off = r"(\w+\.\w+): (?:1 frame is damaged; )?is cut off: ends after"
    assert re.findall(cut_off, err) == films[:3]
    found = numbers(tmp_path / "out" / "cut.mkv")
    assert found == list(range(len(found)))
    assert 5 < len(found) < 40
    rest = numbers(tmp_path / "out" / "hurt.mkv")
    assert len(rest) > 25
    assert rest == sorted(set(rest))


def test_a_film_that_is_damaged_to_its_end_is_not_said_to_be_cut_off(tmp_path, run):
    source = make_film(tmp_path / "film.mkv", Film(frames=50, attributes=IN_ORDER))
    content = source.read_bytes()
    half = len(content) // 2
    source.write_bytes(content[:half] + bytes(len(content) - half))
    code, _, err = run(source)
    assert code == 0
    assert re.search(rf"note: {source}: .*ends after \d\.\d s of 2\.0 s\n", err)
    assert "cut off" not in err


@posix_only
def test_a_pipe_that_is_called_a_film_is_not_waited_for(tmp_path, run):
    os.mkfifo(tmp_path / "film.mp4")
    code, out, err = run(tmp_path)
    assert (code, out) == (1, [])
    assert f"error: {tmp_path / 'film.mp4'}: not a file\n" in err


def test_a_film_that_is_removed_before_its_turn_never_stops_a_folder(tmp_path, run, monkeypatch):
    for name in "ab":
        make_film(tmp_path / f"{name}.mkv", Film(frames=2))
    monkeypatch.setattr(job, "remove_leftovers", lambda _: (tmp_path / "a.mkv").unlink())
    code, out, err = run(tmp_path)
    assert (code, out) == (1, [str(tmp_path / "out" / "b.mkv")])
    assert f"error: {tmp_path / 'a.mkv'}: cannot be read as a film (no such file" in err


def test_a_film_whose_source_is_removed_meanwhile_is_coloured_without_its_hash(
    tmp_path, run, monkeypatch
):
    source, report = make_film(tmp_path / "film.mkv", Film(frames=2)), tmp_path / "report.jsonl"
    join = job.join_videos
    monkeypatch.setattr(job, "join_videos", lambda *args: (join(*args), source.unlink())[0])
    code, out, err = run(source, "--report", report)
    assert (code, out) == (0, [str(tmp_path / "out" / "film.mkv")]), err
    (row,) = map(json.loads, report.read_text().splitlines())
    assert row["result"] == "colourized"
    assert row["output_sha256"] == hashlib.sha256(Path(out[0]).read_bytes()).hexdigest()


def test_without_pyav_a_film_is_left_out_and_it_is_said_what_to_install(tmp_path, run, monkeypatch):
    folder = tmp_path / "album"
    folder.mkdir()
    scene(0).save(folder / "photo.png")
    (folder / "film.mp4").write_bytes(b"any")
    monkeypatch.setattr(plan, "can_read_films", lambda: False)
    code, out, err = run(folder)
    assert (code, len(out)) == (0, 1)
    assert "left out: 1 file that are films" in err or "left out: 1 file" in err
    assert 'pip install -e ".[film]"' in err


@pytest.mark.parametrize(
    "options, said",
    [
        (["--format", "png"], "--format: has no meaning for films"),
        (["--variants", "2"], "--variants: has no meaning for films"),
        (["--confidence"], "--confidence: has no meaning for films"),
        (["--keep-luma"], "--keep-luma: has no meaning for films"),
        (["--film-codec", "libx999"], "--film-codec libx999: no encoder has that name"),
        (["--film-codec", "aac"], "--film-codec aac: is no encoder of video"),
    ],
)
def test_what_films_cannot_have_is_refused_before_the_first(options, said, tmp_path, run):
    source = make_film(tmp_path / "film.mp4", Film(frames=1))
    code, out, err = run(source, *options)
    assert (code, out) == (2, [])
    assert said in err


def test_a_photograph_has_no_seconds(tmp_path, run):
    scene(0).save(tmp_path / "photo.png")
    code, _, err = run(tmp_path / "photo.png", "--hint", "1,1,#ff0000@2")
    assert code == 2
    assert "--hint: a photograph has no seconds" in err


@pytest.mark.parametrize("film", [
    Film(frames=4, sound="flac"),
    Film(frames=4, size=(54, 64), fields="tff", codec="ffv1", options={}),
], ids=["with sound", "interlaced, of 27 rows a field"])  # fmt: skip
def test_another_codec_can_be_asked_for(film, tmp_path, run):
    source = make_film(tmp_path / "film.mkv", film)
    code, out, err = run(source, "--film-codec", "ffv1")
    assert code == 0, err
    with av.open(out[0]) as written:
        assert written.streams.video[0].codec_context.name == "ffv1"
    assert numbers(Path(out[0])) == [0, 1, 2, 3]


def test_a_container_that_cannot_hold_the_codec_is_said(tmp_path, run):
    source = make_film(tmp_path / "film.webm", Film(frames=2, codec="libvpx-vp9", options=VP9))
    code, out, err = run(source, "--film-codec", "libx264")
    assert (code, out) == (1, [])
    assert f"error: {source}: webm cannot hold libx264" in err
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_an_encoder_that_does_not_take_the_film_is_said_with_what_to_do(tmp_path, run):
    source = make_film(tmp_path / "film.avi", Film(frames=2, attributes=IN_ORDER))
    code, out, err = run(source, "--film-codec", "h263")  # which has a few sizes only
    assert (code, out) == (1, [])
    assert f"error: {source}: cannot be written as avi (invalid argument" in err
    said, hint, counts = err.splitlines()  # FFmpeg's reason has two lines
    assert "Valid sizes are" in said and counts.startswith("0 colourized")
    assert hint == "hint: name another encoder with --film-codec"


def test_sound_that_the_container_of_a_wrong_name_does_not_take_is_said(tmp_path, run):
    stream = make_film(tmp_path / "stream.ts", Film(frames=2, codec="mpeg2video", sound="aac"))
    source = stream.rename(tmp_path / "film.mpg")
    code, out, err = run(source)
    assert (code, out) == (1, [])
    assert f"error: {source}: cannot be written as vob (" in err
    assert "hint: it is MPEG-TS (MPEG-2 Transport Stream): rename it so\n" in err


def test_a_hint_reaches_the_colours_with_the_first_frame_of_its_time(tmp_path, run, monkeypatch):
    given = []

    def note(self, frames, hints=()):
        given.append((len(frames), list(hints)))
        return of_two_colours(self, frames)

    monkeypatch.setattr(FilmColours, "colourize_batch", note)
    source = make_film(tmp_path / "film.mp4", Film(frames=12))
    code, _, err = run(source, "--hint", "3,4,#ff0000@0.2", "--hint", "5,6,#00ff00", network=True)
    assert code == 0, err
    before = 0
    places = {}
    for count, hints in given:
        places |= {(hint.x, hint.y): before for hint in hints}
        before += count
    assert places == {(5, 6): 0, (3, 4): 5}  # 0.2 s at 25 frames a second


def test_a_hint_for_a_time_after_the_end_is_said(tmp_path, run):
    source = make_film(tmp_path / "film.mp4", Film(frames=12))
    hints = ("--hint", "3,4,#ff0000@0.4", "--hint", "3,4,#00ff00@99.5")
    code, _, err = run(source, *hints, network=True)
    assert code == 0
    assert f"note: {source}: ends before its hint at 99.5 s\n" in err


def test_a_hint_outside_the_frame_is_said(tmp_path, run):
    source = make_film(tmp_path / "film.mov", Film(frames=2, rotation=90))
    code, _, err = run(source, "--hint", "50,10,#ff0000", network=True)  # upright 48 wide
    assert code == 1
    assert "outside" in err
    assert "48x64" in err
    assert not list((tmp_path / "out").iterdir())


def test_a_playlist_that_calls_itself_a_film_is_not_followed(tmp_path, run):
    make_film(tmp_path / "other.m2ts", Film(frames=2))
    playlist = tmp_path / "film.mp4"
    playlist.write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nother.m2ts\n#EXT-X-ENDLIST\n"
    )
    code, out, err = run(playlist)
    assert (code, out) == (1, [])
    assert f"error: {playlist}: cannot be read as a film" in err


def test_a_film_may_have_any_name(tmp_path, run):
    source = make_film(tmp_path / "plain.mp4", Film(frames=1))
    name = "12:30 - reel #1 %d é.mp4"
    code, out, err = run(source.rename(tmp_path / name))
    assert code == 0, err
    assert out == [str(tmp_path / "out" / name)]


class FullFile(io.BytesIO):
    """A file on a disk that is full."""

    def write(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("place", ["segments", "film"])
def test_a_disk_that_is_full_is_said_once_and_ends_the_run(place, tmp_path, run, monkeypatch):
    for n in range(2):
        make_film(tmp_path / f"film{n}.mp4", Film(frames=2))
    if place == "segments":
        write = recode.write_packet
        monkeypatch.setattr(recode, "write_packet", lambda _, packet: write(FullFile(), packet))
    else:
        monkeypatch.setattr(job, "write_atomically", lambda _, write: write(FullFile()))
    code, out, err = run(tmp_path)
    assert (code, out) == (1, [])
    assert f"error: {tmp_path / 'film0.mp4'}: cannot be written (no space left on device)" in err
    assert "the disk is full" in err
    assert err.count("\nhint: make room") == 1
    assert "1 failed" in err


def test_a_film_goes_on_from_the_last_whole_segment_as_if_nothing_had_happened(
    tmp_path, run, monkeypatch
):
    monkeypatch.setattr(pictures, "SEGMENT_SECONDS", 0.4)
    film = Film(frames=35, sound="aac", time_base=Fraction(1, 600))
    film.times = [n * 24 + n % 2 * 5 for n in range(35)]
    source = make_film(tmp_path / "film.mp4", film)
    _, out, _ = run(source, network=True)
    unbroken = Path(out[0]).read_bytes()
    Path(out[0]).unlink()

    seen = []
    finish = job.SegmentStore.finish

    def stop_after_two(self, *args):
        finish(self, *args)
        seen.append(len(self.segments))
        if len(self.segments) == 2:
            raise KeyError("the power fails")

    monkeypatch.setattr(job.SegmentStore, "finish", stop_after_two)
    code, out, _ = run(source, network=True)
    assert (code, out) == (1, [])
    monkeypatch.setattr(job.SegmentStore, "finish", lambda *args: (seen.append(0), finish(*args)))
    code, out, err = run(source, network=True)
    assert code == 0, err
    assert seen == [1, 2, 0, 0]  # two segments of four were there
    assert Path(out[0]).read_bytes() == unbroken
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["film.mp4"]


@pytest.mark.parametrize("part", ["data.pkl", "data/0"])
def test_a_film_whose_last_state_is_damaged_begins_anew(part, tmp_path, run, monkeypatch):
    monkeypatch.setattr(pictures, "SEGMENT_SECONDS", 0.4)
    source = make_film(tmp_path / "film.mp4", Film(frames=15))
    finish, add = job.SegmentStore.finish, Pace.add

    def stop_after_one(*args):
        finish(*args)
        raise KeyError("the power fails")

    with monkeypatch.context() as patch:
        patch.setattr(job.SegmentStore, "finish", stop_after_one)
        assert run(source, network=True)[0] == 1
    (state,) = tmp_path.glob("out/.film.mp4.segments/*.state")
    with zipfile.ZipFile(state) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(part))
        lost = archive.read(name)
    assert any(lost)
    state.write_bytes(state.read_bytes().replace(lost, bytes(len(lost))))
    frames = []
    monkeypatch.setattr(Pace, "add", lambda *args: (frames.append(args[1].frames), add(*args)))
    code, out, err = run(source, network=True)
    assert (code, frames) == (0, [15]), err
    assert numbers(Path(out[0])) == list(range(15))


@pytest.mark.parametrize("is_updated", [False, True])
def test_segments_of_other_settings_or_of_another_version_are_not_used(
    is_updated, tmp_path, run, monkeypatch
):
    (tmp_path / "package").mkdir()
    module = tmp_path / "package" / "module.py"
    module.write_text("VERSION = 1")
    monkeypatch.setattr(job, "PROGRAM", (tmp_path / "package", module))
    monkeypatch.setattr(pictures, "SEGMENT_SECONDS", 0.4)
    source = make_film(tmp_path / "film.mp4", Film(frames=25))
    with monkeypatch.context() as patch:
        patch.setattr(job, "join_videos", lambda *_: 1 / 0)  # as a kill would
        assert run(source)[0] == 1
    module.write_text(f"VERSION = {2 if is_updated else 1}")
    written = []
    write = recode.write_packet
    monkeypatch.setattr(recode, "write_packet", lambda *args: (written.append(1), write(*args))[1])
    assert run(source, *([] if is_updated else ["--vividness", "0.1"]))[0] == 0
    assert len(written) == 25


KILLED = """
import sys
sys.path[:0] = [{root!r}, {tests!r}]
import colourize
from colourizer.film import container, pictures
pictures.SEGMENT_SECONDS = 0.4
container.OPTIONS_OF_CODEC["libx264"] = {{"qp": "0", "preset": "ultrafast"}}
print("begun", flush=True)
sys.exit(colourize.main(sys.argv[1:]))
"""


def start(tmp_path, checkpoint_file, source):
    """Start the command in a process of its own, with short segments; wait until it has begun."""
    code = KILLED.format(root=str(ROOT), tests=str(ROOT / "tests"))
    arguments = [source, "-o", tmp_path / "out", "--checkpoint", checkpoint_file]
    process = warm_process.start(["-c", code, *arguments])
    process.stdout.readline()
    return process


def count_segments(film):
    """Return how many segments of a film are whole."""
    return len(list(film.parent.glob(f".{film.name}.segments/*.json")))


def assert_film_is_whole_or_absent(path, frames):
    """Check that nothing half-written has the film's name; remove what is there."""
    assert {each.name for each in path.parent.glob("[!.]*")} <= {path.name}
    if path.exists():
        assert numbers(path) == list(range(frames))
        path.unlink()


@posix_only
def test_ctrl_c_keeps_what_is_whole_and_a_kill_loses_and_doubles_no_frame(
    tmp_path, checkpoint_file
):
    source, film = tmp_path / "film.mp4", tmp_path / "out" / "film.mp4"
    make_film(source, Film(frames=60))
    for signum in (signal.SIGINT, signal.SIGKILL):
        process = start(tmp_path, checkpoint_file, source)
        there = count_segments(film)
        while process.poll() is None and count_segments(film) == there:
            time.sleep(0.01)
        process.send_signal(signum)
        _, err = process.communicate()
        if signum == signal.SIGINT:
            assert process.returncode == 130
            assert f"note: {source}: stopped; run this again, and it goes on there" in err
        assert not film.exists()
    process = start(tmp_path, checkpoint_file, source)
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert numbers(film) == list(range(60))
    assert [path.name for path in film.parent.iterdir()] == ["film.mp4"]


@pytest.mark.long
@posix_only
def test_twenty_kills_at_random_moments_lose_and_double_no_frame(tmp_path, checkpoint_file):
    source, film = tmp_path / "film.mp4", tmp_path / "out" / "film.mp4"
    make_film(source, Film(frames=250, sound="aac"))
    chance = random.Random(0)
    for _ in range(20):
        process = start(tmp_path, checkpoint_file, source)
        wanted = count_segments(film) + chance.choice((0, 1, 1, 2))
        while process.poll() is None and count_segments(film) < wanted:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 1))
        process.kill()
        process.communicate()
        assert_film_is_whole_or_absent(film, 250)
    process = start(tmp_path, checkpoint_file, source)
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert numbers(film) == list(range(250))
    assert packets_of(film, "audio") == packets_of(source, "audio")
    assert [path.name for path in film.parent.iterdir()] == ["film.mp4"]


def test_update_does_films_again_that_are_older_than_their_source_or_made_otherwise(tmp_path, run):
    folder = tmp_path / "films"
    folder.mkdir()
    for name in ("a.mp4", "b.mkv"):
        make_film(folder / name, Film(frames=2))
    assert len(run(folder)[1]) == 2
    err = run(folder, "--vividness", "0.3")[2]
    assert "2 there already in" in err
    assert f"made with vividness {DEFAULT_VIVIDNESS}, not 0.3; --update does them again" in err
    again = (folder, "--vividness", "0.3", "--update")
    assert len(run(*again, "--dry-run")[1]) == 2
    assert len(run(*again)[1]) == 2
    assert run(*again)[1] == run(*again, "--album", "--dry-run")[1] == []
    os.utime(folder / "b.mkv", (4_000_000_000, 4_000_000_000))
    assert [Path(path).name for path in run(*again)[1]] == ["b.mkv"]


def test_a_report_that_is_begun_late_has_hashes_of_films_that_were_there(tmp_path, run):
    source, report = make_film(tmp_path / "film.avi", Film(frames=2)), tmp_path / "report.jsonl"
    (coloured,) = run(source)[1]
    (compared,) = run(source, "--compare", "--report", report)[1]
    rows = {row["output"]: row for row in map(json.loads, report.read_text().splitlines())}
    assert rows.keys() == {coloured, compared}
    assert rows[coloured]["result"] == "skipped"
    for path, row in rows.items():
        assert row["output_sha256"] == hashlib.sha256(Path(path).read_bytes()).hexdigest()


def test_a_hint_at_another_time_is_another_setting_of_a_film(tmp_path, run):
    source, report = make_film(tmp_path / "film.avi", Film(frames=2)), tmp_path / "report.jsonl"
    run(source, "--no-tag", "--report", report, "--hint", "3,4,#ff0000@0.5")
    (row,) = map(json.loads, report.read_text().splitlines())
    assert row["hints"] == "3,4,#ff0000@0.5"
    again = (source, "--no-tag", "--report", report, "--update")
    assert run(*again, "--hint", "3,4,#ff0000@0.5")[1] == []
    assert len(run(*again, "--hint", "3,4,#ff0000@0.25")[1]) == 1
