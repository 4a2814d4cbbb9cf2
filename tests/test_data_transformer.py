"""Resizing, rotating, scaling: what is written, and that nothing of it is black corner."""

import errno
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from support.scenes import ROOT, scene

import data_transformer
from colourizer.curation.derived_copies import original_of
from colourizer.photos.files import find_photos
from colourizer.runtime import atomic_file
from colourizer.training.split import name_photos, split
from data_transformer import cut, largest_rectangle, pick_angles, result_stem

SHAPES = [(1, 1), (2, 3), (64, 64), (200, 40), (40, 200), (301, 127), (1000, 10)]
ANGLES = [0, 1, 37, 45, 89, 90, 133, 180, 225, 271, 315, 359]


def transform(source: Path, output: Path, *options: str) -> int:
    return data_transformer.main([str(source), str(output), *options])


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in files(folder)}


def done(transformed: int, skipped: int = 0, left_out: int = 0, removed: int = 0, failed: int = 0):
    parts = f"{transformed} transformed, {skipped} skipped, {left_out} left out"
    return f"{parts}, {removed} files removed, {failed} failed"


def test_every_photograph_gets_a_square_and_a_rotated_square(album, tmp_path, capsys):
    output = tmp_path / "out"
    assert transform(album, output, "--size", "40") == 0
    resized, rotated = files(output / "resized"), files(output / "resized_rotated")
    assert resized == sorted(f"{'sub/' if i > 9 else ''}photo{i}.png.jpg" for i in range(12))
    assert sorted(name.split("_rotated_")[0] + ".jpg" for name in rotated) == resized
    for path in output.rglob("*.jpg"):
        with Image.open(path) as image:
            assert (image.size, image.format) == ((40, 40), "JPEG")
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err == f"{done(12)}\n"


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
    result = np.asarray(Image.open(tmp_path / "out" / "resized" / "a.png.jpg")).astype(int)
    assert abs(result - (0, 200, 0)).max() <= 8
    assert files(tmp_path / "out") == ["resized/a.png.jpg", "transformed.json"]


def test_with_fit_the_whole_photograph_is_squashed_into_the_square(tmp_path):
    (tmp_path / "in").mkdir()
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
    pixels = np.repeat(np.array([colours], np.uint8), 96, axis=1).repeat(64, axis=0)
    Image.fromarray(pixels).save(tmp_path / "in" / "a.png")
    transform(tmp_path / "in", tmp_path / "out", "--size", "48", "--fit")
    result = np.asarray(Image.open(tmp_path / "out" / "resized" / "a.png.jpg")).astype(int)
    assert result.shape == (48, 48, 3)
    assert abs(result[:, [8, 24, 40]] - colours).max() <= 12
    (rotated,) = (tmp_path / "out" / "resized_rotated").iterdir()
    assert Image.open(rotated).size == (48, 48)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("side", [31, 200])
def test_the_plain_square_is_that_of_pillow(shape, side):
    image = scene(0, *shape)
    ours = cut(image, side, 0, fit=False)
    theirs = ImageOps.fit(image, (side, side), Image.Resampling.LANCZOS)
    assert abs(np.asarray(ours).astype(int) - np.asarray(theirs)).max() <= 12
    assert abs(np.asarray(ours).astype(int) - np.asarray(theirs)).mean() < 1


@pytest.mark.parametrize("fit", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_rotated_white_photograph_is_white_everywhere(shape, fit):
    white = Image.new("RGB", shape, "white")
    for angle in ANGLES:
        for side in (1, 31, 64):
            copy = cut(white, side, angle, fit)
            assert copy.size == (side, side)
            assert np.asarray(copy).min() == 255


def test_no_pixel_comes_from_outside_whatever_the_shape_and_the_angle():
    chance = random.Random(0)
    for _ in range(300):
        shape = [round(2 ** chance.uniform(0, 9)) for _ in "xy"]
        side, angle = chance.randint(1, 80), chance.choice([chance.uniform(0, 360), 45, 135])
        copy = cut(Image.new("L", shape, 255), side, angle, chance.random() < 0.7)
        assert np.asarray(copy).min() == 255, (shape, side, angle)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("fit", [False, True])
def test_the_largest_rectangle_lies_inside_and_a_larger_one_does_not(shape, fit):
    room = np.array(shape) / 2
    for angle in np.linspace(0, 360, 145):
        half = np.array(largest_rectangle(*shape, angle, fit)) / 2
        corners = half * np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)])
        c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        on_photo = abs(corners @ np.array([(c, -s), (s, c)]))  # seen from the photograph
        assert (on_photo <= room * (1 + 1e-8)).all()
        assert (on_photo * 1.001 > room).any()
        assert fit or half[0] == half[1]


@pytest.mark.parametrize("shape", SHAPES)
def test_of_all_rectangles_inside_the_largest_has_the_largest_area(shape):
    across = np.geomspace(1e-3, 1e3, 20_001)  # for each pixel down
    for angle in np.linspace(0, 360, 73):
        cos, sin = abs(math.cos(math.radians(angle))), abs(math.sin(math.radians(angle)))
        down = np.minimum(shape[0] / (across * cos + sin), shape[1] / (across * sin + cos))
        best = (across * down**2).max()
        area = math.prod(largest_rectangle(*shape, angle, fit=True))
        assert best * (1 - 1e-9) <= area <= best * 1.001


@pytest.mark.parametrize("fit", [False, True])
def test_the_rotated_copy_is_the_photograph_rotated(fit):
    photo = scene(3, 180, 240).resize((480, 300), Image.Resampling.BICUBIC)
    for angle in (8, 30, 90, 165, 200):
        width, height = largest_rectangle(*photo.size, angle, fit)
        plain = photo.rotate(angle, Image.Resampling.BICUBIC, expand=True)
        left, top = (plain.width - width) / 2, (plain.height - height) / 2
        plain = plain.resize(
            (64, 64), Image.Resampling.BICUBIC, box=(left, top, left + width, top + height)
        )
        difference = np.asarray(cut(photo, 64, angle, fit)).astype(int) - np.asarray(plain)
        assert abs(difference).mean() < 3


@pytest.mark.parametrize("fit", [False, True])
def test_a_photograph_much_larger_than_its_copy_does_not_alias(fit):
    stripes = np.zeros((600, 600, 3), np.uint8)
    stripes[:, ::2] = 255
    for angle in (0, 1, 45, 200):
        copy = np.asarray(cut(Image.fromarray(stripes), 32, angle, fit)).astype(int)
        assert abs(copy - 127.5).max() < 20


@pytest.mark.parametrize("angle", [0, 4, 94, 176, 266])
def test_nothing_aliases_along_the_side_that_is_squashed_more(angle):
    stripes = np.zeros((300, 1200), np.uint8)
    stripes[:, np.arange(1200) % 10 < 5] = 255  # narrower than a pixel of the result is long
    copy = np.asarray(cut(Image.fromarray(stripes), 64, angle, fit=True)).astype(int)
    assert abs(copy - 127.5).max() < 25


def test_a_photograph_is_turned_upright_first(tmp_path):
    (tmp_path / "in").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    photo = scene(0, 64, 64)
    photo.rotate(180).save(tmp_path / "in" / "a.jpg", exif=exif, quality=95)
    transform(tmp_path / "in", tmp_path / "out", "--size", "64", "--rotations", "0")
    result = np.asarray(Image.open(tmp_path / "out" / "resized" / "a.jpg")).astype(int)
    assert abs(result - np.asarray(photo)).mean() < 5


def test_nothing_of_the_photographs_metadata_gets_into_a_result(tmp_path):
    (tmp_path / "in").mkdir()
    exif = Image.Exif()
    exif[0x010E] = "aunt Mary, 1931"
    scene(0).save(tmp_path / "in" / "a.jpg", exif=exif, comment=b"hers", dpi=(300, 300), xmp=b"x")
    transform(tmp_path / "in", tmp_path / "out")
    for path in (tmp_path / "out").rglob("*.jpg"):
        assert set(Image.open(path).info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


@pytest.mark.parametrize("options", [(), ("--scales", "24", "44"), ("--fit",)])
def test_a_rerun_does_nothing(options, album, tmp_path, capsys, monkeypatch):
    output = tmp_path / "out"
    options = ("--size", "32", *options)
    scene(0, 40, 40).save(album / "small.png")  # not made at 44, and not read for that again
    transform(album, output, *options)
    monkeypatch.delattr(data_transformer, "read_large_enough")  # nothing is even decoded
    before = {p: p.stat().st_mtime_ns for p in output.rglob("*")}
    assert transform(album, output, *options) == 0
    assert {p: p.stat().st_mtime_ns for p in output.rglob("*")} == before
    assert capsys.readouterr().err.splitlines()[-1] == done(0, skipped=13)


@pytest.mark.parametrize("options", [(), ("--scales", "20", "44"), ("--fit",)])
def test_a_rerun_makes_only_what_is_missing(options, album, tmp_path, capsys):
    output = tmp_path / "out"
    options = ("--size", "32", *options)
    scene(12, 300, 400).save(album / "large.jpg")
    transform(album, output, *options)
    before = contents(output)
    for name in before:
        if (
            name in ("resized/photo7.png.jpg", "resized/large.jpg")
            or "photo3" in name
            or "photo5.png_" in name
        ):
            (output / name).unlink()
        if "photo7.png_" in name:
            (output / name).write_bytes(b"left alone")
            before[name] = b"left alone"
    transform(album, output, *options)
    assert contents(output) == before
    assert capsys.readouterr().err.splitlines()[-1] == done(4, skipped=9)


def test_more_rotations_scales_and_another_seed_add_files_and_change_none(album, tmp_path):
    output = tmp_path / "out"
    transform(album, output, "--size", "32")
    count = len(files(output))
    for options in (("--rotations", "3"), ("--scales", "16"), ("--seed", "7")):
        before = contents(output)
        assert transform(album, output, "--size", "32", *options) == 0
        after = contents(output)
        assert before.items() < after.items()
        assert len(after) > count
        count = len(after)


@pytest.mark.parametrize("options", [("--size", "48"), ("--size", "32", "--fit"), ()])
def test_a_rerun_with_other_settings_says_so_and_mixes_nothing(options, album, tmp_path, capsys):
    output = tmp_path / "out"
    transform(album, output, "--size", "32")
    capsys.readouterr()
    before = contents(output)
    assert transform(album, output, *options) == 2
    assert contents(output) == before
    error, hint = capsys.readouterr().err.splitlines()
    now = " ".join(options) or "--size 256"
    assert error == f"error: {output}: was made with --size 32, not with {now}"
    assert hint == "hint: choose another OUTPUT folder"


@pytest.mark.parametrize("content", [None, b"", b"[]", b"{", b'{"size": 32}', b"\xff"])
def test_results_of_which_nobody_knows_how_they_were_made_are_left_alone(
    content, album, tmp_path, capsys
):
    output = tmp_path / "out"
    transform(album, output, "--size", "32", "--rotations", "0")
    (output / "transformed.json").unlink()
    if content is not None:
        (output / "transformed.json").write_bytes(content)
    before = contents(output)
    capsys.readouterr()
    assert transform(album, output, "--size", "32") == 2
    assert contents(output) == before
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith(f"error: {output}")
    assert hint == "hint: choose another OUTPUT folder"


def test_what_is_hidden_in_a_folder_of_results_is_none(album, tmp_path, capsys):
    (tmp_path / "out" / "resized").mkdir(parents=True)
    (tmp_path / "out" / "resized" / ".DS_Store").write_text("a file manager's")
    assert transform(album, tmp_path / "out", "--size", "32") == 0
    assert capsys.readouterr().err == f"{done(12)}\n"


def test_scales_are_the_same_photograph_at_other_sizes_and_enlarge_none(album, tmp_path, capsys):
    output = tmp_path / "out"
    for i in range(3):
        scene(20 + i, 120, 160).save(album / f"large{i}.png")
    options = ("--size", "32", "--rotations", "0", "--scales", "48", "16", "100", "100")
    assert transform(album, output, *options) == 0
    scaled = files(output / "resized_scaled")
    names = [p.relative_to(album).as_posix() for p in find_photos(album)]
    expected = [f"{name}_scaled_{scale}.jpg" for name in names for scale in (48, 16)]
    expected += [f"large{i}.png_scaled_100.jpg" for i in range(3)]
    assert scaled == sorted(expected)
    for name in scaled:
        stem, _, scale = name.removesuffix(".jpg").rpartition("_scaled_")
        copy = Image.open(output / "resized_scaled" / name)
        assert copy.size == (int(scale), int(scale))
        whole = Image.open(output / "resized" / f"{stem}.jpg").resize((16, 16), 4)
        difference = np.asarray(copy.resize((16, 16), 4)).astype(int) - np.asarray(whole)
        assert abs(difference).mean() < 8
    note, summary = capsys.readouterr().err.splitlines()
    assert note == "12 smaller than 100 pixels, left out of --scales 100"
    assert summary == done(15)


def test_rejected_photographs_are_left_out_and_what_was_made_of_them_is_removed(
    album, tmp_path, capsys
):
    output = tmp_path / "out"
    options = ("--size", "32", "--rotations", "2", "--scales", "16")
    scene(30).save(album / "photo1.png_rotated_3.jpg")
    transform(album, output, *options)
    transform(album, output, *options, "--seed", "1")
    (output / "resized" / "photo1.png").write_text("a user's")
    (output / "resized" / "photo1.png.jpg.txt").write_text("a user's")
    (output / "resized_rotated" / "photo1.png_rotated_x.jpg").write_text("a user's")
    (output / "other").mkdir()
    (output / "other" / "photo1.png.jpg").write_text("a user's")
    before = contents(output)
    listed = ["photo1.png", "sub/photo10.png", "sub/gone.png", "../album/photo2.png", "/x/a.png"]
    (album / "rejected.txt").write_text("# not these\n" + "\n".join(listed) + "\n")
    assert transform(album, output, *options) == 0
    after = contents(output)
    assert after.items() < before.items()
    removed = sorted(before.keys() - after.keys())
    assert [original_of(Path(name))[1] for name in removed] == ["photo1.png", "photo10.png"] * 1 + [
        *["photo1.png"] * 4,
        *["photo10.png"] * 4,
        *["photo1.png", "photo10.png"],
    ]
    assert capsys.readouterr().err.splitlines()[-1] == done(0, 11, left_out=2, removed=12)
    assert transform(album, output, *options) == 0
    assert contents(output) == after
    assert capsys.readouterr().err.splitlines()[-1] == done(0, 11, left_out=2)
    (album / "rejected.txt").unlink()
    transform(album, output, *options)
    transform(album, output, *options, "--seed", "1")
    assert contents(output) == before


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
    assert errors[-1] == done(10, failed=2)


def test_a_folder_that_may_not_be_looked_into_is_named(album, tmp_path, capsys, monkeypatch):
    def find_photos(folder: Path, _: Path, unreadable: list[OSError]) -> list[Path]:
        unreadable.append(PermissionError(13, "Permission denied", str(folder / "closed")))
        return [folder / "photo1.png"]

    monkeypatch.setattr(data_transformer, "find_photos", find_photos)
    assert transform(album, tmp_path / "out") == 1
    error, summary = capsys.readouterr().err.splitlines()
    assert error == f"error: {album / 'closed'}: permission denied"
    assert summary == "1 transformed, 0 skipped, 0 left out, 0 files removed, 1 failed"


def test_a_clash_of_names_keeps_both(tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    for seed, name in enumerate(["a.jpg", "a.png", "a.png.jpg", "B.jpg", "b.JPG", "c.jpeg"]):
        scene(seed).save(source / name)
    assert transform(source, tmp_path / "out", "--size", "32") == 0
    resized = files(tmp_path / "out" / "resized")
    assert resized == sorted(
        ["a.jpg", "a.png.jpg", "a.png.jpg.jpg", "B.jpg", "b.JPG.jpg", "c.jpeg.jpg"]
    )
    assert len(set(contents(tmp_path / "out" / "resized").values())) == 6
    assert len(files(tmp_path / "out" / "resized_rotated")) == 6


def test_no_two_photographs_share_a_name_and_none_depends_on_another():
    parts = (".jpg", ".JPG", ".jpeg", ".png", ".b", "")
    stems = [f"{folder}{a}{b}" for folder in ("", "x/", "x.jpg/") for a in "ay" for b in parts]
    names = [stem + suffix for stem in stems for suffix in (".jpg", ".Jpg", ".png", ".webp")]
    results = [result_stem(name).casefold() for name in dict.fromkeys(map(str.casefold, names))]
    assert len(set(results)) == len(results)
    assert result_stem("x/a.jpg") == "x/a"
    assert result_stem("x/a.png") == "x/a.png"


def test_photographs_that_come_and_go_change_the_names_of_no_others(tmp_path, capsys):
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    scene(0).save(source / "a.jpg")
    transform(source, output, "--size", "32")
    for seed, name in enumerate(("a.png", "a.jpeg", "A.webp"), 1):
        before = contents(output)
        scene(seed).save(source / name)
        transform(source, output, "--size", "32")
        assert before.items() < contents(output).items()
        assert capsys.readouterr().err.splitlines()[-1] == done(1, skipped=seed)
    before = contents(output)
    (source / "a.png").unlink()
    (source / "rejected.txt").write_text("a.jpeg\n")
    transform(source, output, "--size", "32")
    assert before.keys() - contents(output).keys() == {n for n in before if "a.jpeg" in n}
    assert capsys.readouterr().err.splitlines()[-1] == done(0, 2, left_out=1, removed=2)


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


def test_in_which_order_threads_end_decides_nothing(album, tmp_path, monkeypatch):
    options = ("--size", "32", "--rotations", "2", "--scales", "16", "--fit")
    transform(album, tmp_path / "one", *options)
    read, chance = data_transformer.read_large_enough, random.Random(0)

    def slow(*args):
        time.sleep(0.02 * chance.random())
        return read(*args)

    monkeypatch.setattr(data_transformer, "read_large_enough", slow)
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    transform(album, tmp_path / "six", *options)
    assert contents(tmp_path / "one") == contents(tmp_path / "six")


def test_angles_differ_between_photographs_and_copies_and_more_keep_the_first():
    assert len({tuple(pick_angles(f"{i}.jpg", 1, 0)) for i in range(50)}) > 30
    many = pick_angles("a.jpg", 359, 0)
    assert sorted(many) == list(range(1, 360))
    assert all(pick_angles("a.jpg", count, 0) == many[:count] for count in (1, 3, 90))


def test_no_copy_of_a_held_out_photograph_is_trained_on(album, tmp_path):
    transform(album, tmp_path / "out", "--size", "32", "--scales", "16", "24")
    train, held_out = split(name_photos({tmp_path / "out": find_photos(tmp_path / "out")}))
    assert len(train) == 4 * (12 - len(held_out))
    assert {p.parent.name for p in held_out} <= {"resized", "sub"}
    assert not {original_of(p) for p in held_out} & {original_of(p) for p in train}


@pytest.mark.parametrize("case", ["missing", "empty", "same", "own result", "file"])
def test_a_folder_that_cannot_be_used_is_refused_in_a_line_and_a_hint(
    case, album, tmp_path, capsys
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("a file")
    before = contents(album)
    source, output = {
        "missing": (tmp_path / "missing", tmp_path / "out"),
        "empty": (tmp_path / "empty", tmp_path / "out"),
        "same": (album, album),
        "file": (album, tmp_path / "file"),
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


def test_a_list_of_rejected_photographs_that_cannot_be_read_is_an_error(album, tmp_path, capsys):
    (album / "rejected.txt").mkdir()
    assert transform(album, tmp_path / "out", "--size", "32") == 2
    assert capsys.readouterr().err == f"error: {album / 'rejected.txt'}: is a directory\n"


def test_a_file_that_cannot_be_written_is_an_error_of_its_photograph(album, tmp_path, capsys):
    transform(album / "sub", tmp_path / "out", "--size", "32")
    capsys.readouterr()
    (tmp_path / "out" / "resized" / "sub").write_text("a file")
    assert transform(album, tmp_path / "out", "--size", "32") == 1
    errors = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[2].partition(" (")[0] for line in errors[:-1]] == [
        f"{album / 'sub' / name}: cannot be written" for name in ("photo10.png", "photo11.png")
    ]
    assert errors[-1] == done(10, failed=2)


def test_a_full_disk_ends_the_run_and_leaves_no_partial_file(album, tmp_path, capsys, monkeypatch):
    output = tmp_path / "out"
    transform(album, output, "--size", "32", "--rotations", "0")
    capsys.readouterr()

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    for i in range(100):
        scene(0, 8, 8).save(album / f"more{i}.jpg")
    before = contents(output)
    with monkeypatch.context() as later:
        later.setattr("os.fsync", full)
        assert transform(album, output, "--size", "32", "--rotations", "0") == 1
    errors = capsys.readouterr().err.splitlines()
    assert f"error: {output}: the disk is full" in errors
    assert len(errors) < 50  # not one for each
    assert contents(output) == before
    assert transform(album, output, "--size", "32") == 0
    assert capsys.readouterr().err.splitlines()[-1] == done(112)


@pytest.mark.parametrize(
    "options",
    [
        ["--size", "0"],
        ["--rotations", "-1"],
        ["--rotations", "360"],
        ["--scales"],
        ["--scales", "64", "0"],
        ["--scales", "256"],
    ],
)
def test_nonsense_on_the_command_line_is_refused(options):
    with pytest.raises(SystemExit) as stop:
        data_transformer.parse_args(options)
    assert stop.value.code == 2


def test_help_shows_every_default(capsys):
    with pytest.raises(SystemExit):
        data_transformer.parse_args(["--help"])
    printed = " ".join(capsys.readouterr().out.split())
    options = printed.partition("positional arguments:")[2].partition("exit codes")[0]
    assert options.count("(default: ") == 7
    for default in ("data/raw", "data/transformed", "256", "1", "none", "0"):
        assert f"(default: {default})" in options


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_ends_it_early_with_130_and_no_half_files(
    signum, code, tmp_path, monkeypatch, capsys
):
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    scene(0, 60, 80).save(source / "0.jpg")
    for i in range(1, 200):
        os.link(source / "0.jpg", source / f"{i}.jpg")
    written = []
    write_bytes = data_transformer.write_bytes

    def interrupted(path, content):
        write_bytes(path, content)
        written.append(path)
        if len(written) == 5:
            os.kill(os.getpid(), signum)

    monkeypatch.setattr(data_transformer, "write_bytes", interrupted)
    assert transform(source, output, "--size", "32") == code
    assert len(written) < 100
    assert sorted(written) == sorted(p for p in output.rglob("*") if p.is_file())
    pairs, settings = divmod(len(written), 2)
    assert settings == 1
    assert capsys.readouterr().err.splitlines()[-1] == done(pairs)
    monkeypatch.setattr(data_transformer, "write_bytes", write_bytes)
    assert transform(source, output, "--size", "32") == 0
    assert capsys.readouterr().err.splitlines()[-1] == done(200 - pairs, skipped=pairs)


def test_a_killed_run_leaves_nothing_half_and_the_next_one_goes_on(tmp_path):
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    scene(0, 300, 400).save(source / "0.jpg")
    for i in range(1, 60):
        os.link(source / "0.jpg", source / f"{i}.jpg")
    command = [sys.executable, str(ROOT / "data_transformer.py"), str(source), str(output)]
    process = subprocess.Popen([*command, "--size", "64"], stderr=subprocess.DEVNULL)
    while len(files(output)) < 8 and process.poll() is None:
        time.sleep(0.002)
    process.kill()
    process.wait()
    (output / "resized" / f"{atomic_file.PART}{atomic_file.MACHINE}-{process.pid}-0").write_bytes(
        b"half"
    )
    ours = output / "resized_rotated" / f"{atomic_file.PART}{atomic_file.MACHINE}-{os.getpid()}-0"
    ours.write_bytes(b"of a process that is there")
    assert transform(source, output, "--size", "64") == 0
    assert list(output.rglob(f"{atomic_file.PART}*")) == [ours]
    ours.unlink()
    transform(source, tmp_path / "unbroken", "--size", "64")
    assert contents(output) == contents(tmp_path / "unbroken")
