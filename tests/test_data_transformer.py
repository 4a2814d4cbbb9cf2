"""Resizing and rotating: what is written, and that nothing of it is black corner."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
from conftest import scene
from PIL import Image

import data_transformer
from data_transformer import largest_square, name_results, pick_angles, rotated_square
from made_copies import ROTATED
from photo import find_photos
from training_data import split

SHAPES = [(1, 1), (2, 3), (64, 64), (200, 40), (40, 200), (301, 127), (1000, 10)]
ANGLES = [0, 1, 37, 45, 89, 90, 133, 180, 225, 271, 315, 359]


def transform(source: Path, output: Path, *options: str) -> int:
    return data_transformer.main([str(source), str(output), *options])


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in files(folder)}


def test_every_photograph_gets_a_square_and_a_rotated_square(album, tmp_path, capsys):
    output = tmp_path / "out"
    assert transform(album, output, "--size", "40") == 0
    resized, rotated = files(output / "resized"), files(output / "resized_rotated")
    assert resized == sorted(f"{'sub/' if i > 9 else ''}photo{i}.jpg" for i in range(12))
    assert sorted(name.split("_rotated_")[0] + ".jpg" for name in rotated) == resized
    for path in output.rglob("*.jpg"):
        with Image.open(path) as image:
            assert (image.size, image.format) == ((40, 40), "JPEG")
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err == "12 transformed, 0 skipped, 0 failed\n"


def test_the_default_size_is_256(album, tmp_path):
    for path in files(album)[1:]:
        (album / path).unlink()
    transform(album, tmp_path / "out")
    sizes = {Image.open(path).size for path in (tmp_path / "out").rglob("*.jpg")}
    assert sizes == {(256, 256)}


def test_the_square_is_the_middle_of_the_photograph(tmp_path):
    (tmp_path / "in").mkdir()
    pixels = np.zeros((64, 128, 3), np.uint8)
    pixels[:, 32:96] = (0, 200, 0)
    Image.fromarray(pixels).save(tmp_path / "in" / "a.png")
    transform(tmp_path / "in", tmp_path / "out", "--size", "32", "--rotations", "0")
    result = np.asarray(Image.open(tmp_path / "out" / "resized" / "a.jpg")).astype(int)
    assert abs(result - (0, 200, 0)).max() <= 8
    assert not (tmp_path / "out" / "resized_rotated").exists()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_rotated_white_photograph_is_white_everywhere(shape):
    white = Image.new("RGB", shape, "white")
    for angle in ANGLES:
        for size in (1, 31, 64):
            assert np.asarray(rotated_square(white, angle, size)).min() == 255


@pytest.mark.parametrize("shape", SHAPES)
def test_the_largest_square_lies_inside_and_a_larger_one_does_not(shape):
    width, height = shape
    for angle in np.linspace(0, 360, 145):
        half = largest_square(width, height, angle) / 2
        corners = half * np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)])
        c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        on_photo = abs(corners @ np.array([(c, -s), (s, c)]))  # seen from the photograph
        room = np.array([width, height]) / 2
        assert (on_photo <= room + 1e-9).all()
        assert (on_photo * 1.001 > room).any()


def test_the_rotated_copy_is_the_photograph_rotated():
    photo = scene(3, 180, 240).resize((480, 360), Image.Resampling.BICUBIC)
    for angle in (30, 90, 200):
        side = largest_square(*photo.size, angle)
        plain = photo.rotate(angle, Image.Resampling.BICUBIC, expand=True)
        left, top = (plain.width - side) / 2, (plain.height - side) / 2
        plain = plain.resize(
            (64, 64), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side)
        )
        difference = np.asarray(rotated_square(photo, angle, 64)).astype(int) - np.asarray(plain)
        assert abs(difference).mean() < 3


def test_a_photograph_much_larger_than_its_copy_does_not_alias():
    stripes = np.zeros((600, 600, 3), np.uint8)
    stripes[:, ::2] = 255
    for angle in (1, 45, 200):
        copy = np.asarray(rotated_square(Image.fromarray(stripes), angle, 32)).astype(int)
        assert abs(copy - 127.5).max() < 20


def test_a_photograph_is_turned_upright_first(tmp_path):
    (tmp_path / "in").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    photo = scene(0, 64, 64)
    photo.rotate(180).save(tmp_path / "in" / "a.jpg", exif=exif, quality=95)
    transform(tmp_path / "in", tmp_path / "out", "--size", "64", "--rotations", "0")
    result = np.asarray(Image.open(tmp_path / "out" / "resized" / "a.jpg")).astype(int)
    assert abs(result - np.asarray(photo)).mean() < 5


def test_a_rerun_does_nothing(album, tmp_path, capsys, monkeypatch):
    output = tmp_path / "out"
    transform(album, output, "--size", "32")
    monkeypatch.delattr(data_transformer, "read_rgb")  # nothing is even read
    before = {p: p.stat().st_mtime_ns for p in output.rglob("*")}
    assert transform(album, output, "--size", "32") == 0
    assert {p: p.stat().st_mtime_ns for p in output.rglob("*")} == before
    assert capsys.readouterr().err.splitlines()[-1] == "0 transformed, 12 skipped, 0 failed"


def test_a_rerun_makes_only_what_is_missing(album, tmp_path):
    output = tmp_path / "out"
    transform(album, output, "--size", "32")
    before = contents(output)
    for name in before:
        if name == "resized/photo7.jpg" or "photo3" in name or "photo5_rotated" in name:
            (output / name).unlink()
        if "photo7_rotated" in name:
            (output / name).write_bytes(b"left alone")
            before[name] = b"left alone"
    transform(album, output, "--size", "32")
    assert contents(output) == before


def test_a_rerun_at_another_size_says_so(album, tmp_path, capsys):
    transform(album, tmp_path / "out", "--size", "32")
    before = contents(tmp_path / "out")
    assert transform(album, tmp_path / "out", "--size", "48") == 1
    assert contents(tmp_path / "out") == before
    assert "choose another OUTPUT" in capsys.readouterr().err


def test_a_broken_photograph_is_named_and_the_others_are_done(album, tmp_path, capsys):
    whole = (album / "photo1.png").read_bytes()
    (album / "photo1.png").write_bytes(whole[: len(whole) // 2])
    (album / "photo2.png").write_text("<html></html>")
    assert transform(album, tmp_path / "out", "--size", "32") == 1
    assert len(files(tmp_path / "out" / "resized")) == 10
    errors = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[2].partition(": ")[0] for line in errors[:2]] == [
        str(album / "photo1.png"),
        str(album / "photo2.png"),
    ]
    assert errors[-1] == "10 transformed, 0 skipped, 2 failed"


def test_a_clash_of_names_keeps_both(tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    for seed, name in enumerate(["a.jpg", "a.png", "a.png.webp", "B.jpg", "b.png", "c.jpeg"]):
        scene(seed).save(source / name)
    assert transform(source, tmp_path / "out", "--size", "32") == 0
    resized = files(tmp_path / "out" / "resized")
    assert resized == sorted(
        ["a.jpg.jpg", "a.png.jpg", "a.png.webp.jpg", "B.jpg.jpg", "b.png.jpg", "c.jpg"]
    )
    assert len(set(contents(tmp_path / "out" / "resized").values())) == 6
    assert len(files(tmp_path / "out" / "resized_rotated")) == 6


def test_names_stay_apart_below_each_other_too():
    photos = [Path(p) for p in ("x/a.jpg", "y/a.jpg", "x/a.JPG", "a.b.jpg", "a.c.jpg")]
    names = list(name_results(photos).values())
    assert names == ["x/a.jpg", "y/a", "x/a.JPG", "a.b", "a.c"]


def test_the_seed_decides_everything(album, tmp_path):
    options = ("--size", "32", "--rotations", "2")
    transform(album, tmp_path / "one", *options)
    transform(album, tmp_path / "two", *options)
    transform(album, tmp_path / "other", *options, "--seed", "1")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert files(tmp_path / "one" / "resized") == files(tmp_path / "other" / "resized")
    assert files(tmp_path / "one" / "resized_rotated") != files(
        tmp_path / "other" / "resized_rotated"
    )


def test_angles_differ_between_photographs_and_copies_and_more_keep_the_first():
    names = [Path(f"{i}.jpg") for i in range(50)]
    assert len({tuple(pick_angles(name, 1, 0)) for name in names}) > 30
    many = pick_angles(names[0], 359, 0)
    assert sorted(many) == list(range(1, 360))
    assert pick_angles(names[0], 3, 0) == many[:3]


def test_no_rotated_copy_of_a_held_out_photograph_is_trained_on(album, tmp_path):
    transform(album, tmp_path / "out", "--size", "32")
    train, held_out = split(find_photos(tmp_path / "out"))
    assert len(train) == 2 * (12 - len(held_out))
    assert not {p.stem for p in held_out} & {p.stem.split(ROTATED)[0] for p in train}


@pytest.mark.parametrize("case", ["missing", "empty", "same", "own result"])
def test_a_folder_that_cannot_be_used_is_refused_in_a_line_and_a_hint(
    case, album, tmp_path, capsys
):
    (tmp_path / "empty").mkdir()
    before = contents(album)
    source, output = {
        "missing": (tmp_path / "missing", tmp_path / "out"),
        "empty": (tmp_path / "empty", tmp_path / "out"),
        "same": (album, album),
        "own result": (album, album.parent),
    }[case]
    if case == "own result":
        album.rename(tmp_path / "resized")
        source = album = tmp_path / "resized"
    assert transform(source, output) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert hint.startswith("hint: ")
    assert contents(album) == before


def test_an_output_inside_the_source_is_not_read_as_a_source(album):
    assert transform(album, album / "out", "--size", "32") == 0
    before = files(album)
    assert transform(album, album / "out", "--size", "32") == 0
    assert files(album) == before


def test_an_output_that_cannot_be_written_is_an_error_per_photograph(album, tmp_path, capsys):
    (tmp_path / "out").write_text("a file")
    assert transform(album, tmp_path / "out", "--size", "32") == 1
    errors = capsys.readouterr().err
    assert errors.count("error: ") == 12
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    "options", [["--size", "0"], ["--rotations", "-1"], ["--rotations", "360"]]
)
def test_nonsense_on_the_command_line_is_refused(options):
    with pytest.raises(SystemExit) as stop:
        data_transformer.parse_args(options)
    assert stop.value.code == 2


def test_ctrl_c_ends_it_early_with_130_and_no_half_files(tmp_path, monkeypatch, capsys):
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    scene(0, 600, 800).save(source / "0.jpg")
    for i in range(1, 200):
        os.link(source / "0.jpg", source / f"{i}.jpg")
    read, written = [], []
    read_rgb, write_bytes = data_transformer.read_rgb, data_transformer.write_bytes

    def reading(path, **options):
        read.append(path)
        return read_rgb(path, **options)

    def interrupted(path, content):
        write_bytes(path, content)
        written.append(path)
        if len(written) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(data_transformer, "read_rgb", reading)
    monkeypatch.setattr(data_transformer, "write_bytes", interrupted)
    assert transform(source, output, "--size", "32") == 130
    assert len(read) < 100
    assert sorted(written) == sorted(p for p in output.rglob("*") if p.is_file())
    assert capsys.readouterr().err.splitlines()[-1] == "2 transformed, 0 skipped, 0 failed"
