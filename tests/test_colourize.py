"""colourize.py as a user meets it: files, streams, exit codes."""

import errno
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support import warm_process
from support.scenes import ROOT, SAMPLES, scene

import colourize
from colourizer.colour.metrics import colourfulness
from colourizer.colour.space import rgb_to_lab
from colourizer.inference import batch
from colourizer.inference import run as run_module
from colourizer.inference.colourizer import CPU_BATCH_SIZE, Colourizer
from colourizer.inference.lightness import photo_lightness
from colourizer.network.classic_cnn import ClassicCNN
from colourizer.photos.read import read_photo
from colourizer.runtime import atomic_file
from Model_CNN import Model_CNN


def test_a_folder_comes_back_in_colour_with_its_subfolders(album, tmp_path, run):
    code, out, err = run(album, "-o", tmp_path / "out")
    assert code == 0
    assert len(out) == 12
    assert all((tmp_path / "out" / p.relative_to(album)).exists() for p in album.rglob("*.png"))
    assert err.startswith("12 colourized, 0 skipped, 0 failed (")
    with Image.open(tmp_path / "out" / "photo0.png") as image:
        assert (image.mode, image.size) == ("RGB", (64, 48))


def test_one_bad_file_never_stops_a_folder(album, tmp_path, run):
    (album / "letter.jpg").write_text("dear aunt Mary")
    scene(0).save(album / "torn.jpg")
    data = (album / "torn.jpg").read_bytes()
    (album / "torn.jpg").write_bytes(data[: len(data) // 2])
    code, out, err = run(album, "-o", tmp_path / "out")
    assert code == 1
    assert len(out) == 12
    assert f"error: {album / 'letter.jpg'}: not an image" in err
    assert f"error: {album / 'torn.jpg'}: cannot be decoded" in err
    assert "12 colourized, 0 skipped, 2 failed" in err
    assert "Traceback" not in err
    assert len(list((tmp_path / "out").rglob("*.*"))) == 12


def test_what_cannot_be_coloured_whole_is_named_as_skipped(album, tmp_path, run):
    scene(0).save(album / "a.tif", save_all=True, append_images=[scene(1)])
    scene(0).save(album / "b.gif", save_all=True, append_images=[scene(1)])
    code, out, err = run(album, "-o", tmp_path / "out")
    assert (code, len(out)) == (0, 12)
    assert f"skipped: {album / 'a.tif'}: has 2 pages" in err
    assert f"skipped: {album / 'b.gif'}: is an animation" in err
    assert "12 colourized, 2 skipped, 0 failed" in err
    assert "--overwrite" not in err  # that would not help


def test_heic_without_its_package_is_named_with_a_hint(album, tmp_path, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    start = b"\0\0\0\x18ftypheic"
    (album / "phone.heic").write_bytes(start + bytes(100))
    code, out, err = run(album, "-o", tmp_path / "out")
    assert (code, len(out)) == (1, 12)
    assert f"error: {album / 'phone.heic'}: is HEIC" in err
    assert "\nhint: pip install pillow-heif\n" in err


def test_what_is_done_is_skipped_and_nothing_is_overwritten(album, tmp_path, run):
    run(album / "photo0.png", "-o", tmp_path / "out")
    (tmp_path / "out" / "photo0.png").write_bytes(b"retouched by hand")
    code, out, err = run(album, "-o", tmp_path / "out")
    assert (code, len(out)) == (0, 11)
    assert "11 colourized, 1 skipped, 0 failed" in err
    assert (tmp_path / "out" / "photo0.png").read_bytes() == b"retouched by hand"
    code, out, _ = run(album / "photo0.png", "-o", tmp_path / "out", "--overwrite")
    assert (code, len(out)) == (0, 1)
    assert Image.open(tmp_path / "out" / "photo0.png").size == (64, 48)


def test_a_photo_is_never_written_over_itself(album, run):
    before = {p: p.read_bytes() for p in album.rglob("*.png")}
    for paths in ([album], [album, "--overwrite"], [album / "photo0.png", "--overwrite"]):
        code, out, err = run(*paths, "-o", album)
        assert code != 0
        assert out == []
        assert "-o" in err
        assert {p: p.read_bytes() for p in album.rglob("*.png")} == before


def test_clashing_names_all_come_out(tmp_path, run):
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for i, name in enumerate(("a.jpg", "a.png", "a.JPG", "a.gif", "a.gif.png", "sub/a.jpg")):
        scene(i).save(folder / name)
    code, out, _ = run(folder, "-o", tmp_path / "out")
    assert code == 0
    assert len({line.casefold() for line in out}) == 6


def test_without_an_output_folder_two_albums_never_mix(album, tmp_path, run, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    scene(50).save(other / "photo0.png")
    monkeypatch.chdir(tmp_path)
    assert run(album)[0] == run(other)[0] == 0
    assert (tmp_path / "colourized" / "album" / "sub" / "photo10.png").exists()
    assert (tmp_path / "colourized" / "other" / "photo0.png").exists()


def test_names_that_are_no_text_or_too_long_are_no_trouble(tmp_path, run, checkpoint_file):
    folder = tmp_path / "in"
    folder.mkdir()
    names = [os.fsdecode(b"gro\xdf.png"), "-o.png", "two words\n.png", "😀.png", "n" * 251 + ".gif"]
    for name in names:
        scene(0).save(folder / "plain.tmp", "GIF" if name.endswith("gif") else "PNG")
        (folder / "plain.tmp").rename(folder / name)
    command = ["colourize.py", folder, "-o", tmp_path / "out", "--checkpoint", checkpoint_file]
    done = warm_process.run(command, cwd=ROOT, text=False)
    assert done.returncode == 0
    assert b"5 colourized, 0 skipped, 0 failed" in done.stderr
    assert len(list((tmp_path / "out").iterdir())) == 5


def test_pictures_beside_a_photograph_of_a_long_name_get_a_shortened_one(tmp_path, run):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("a", "n" * 250, "写" * 82, "写" * 81 + "x"):
        scene(0).save(folder / f"{name}.jpg")
    options = ("-o", out, "--compare", "--confidence", "--variants", 2)
    code, printed, err = run(folder, *options)
    assert code == 0, err
    assert len(printed) == 4 * 5
    assert (out / "a_compared.jpg").exists()
    assert len(list(out.glob("写*_compared*.jpg"))) == 2
    assert (out / "contact_sheet.jpg").exists()
    code, printed, err = run(folder, *options)
    assert (code, printed) == (0, [])
    assert "0 colourized, 4 skipped" in err


def test_a_picture_that_is_damaged_is_missing_on_the_contact_sheet_of_the_others(album, run):
    out = album.parent / "out"
    run(album, "-o", out, "--compare")
    (out / "photo1_compared.jpg").write_bytes(b"cut")
    (out / "contact_sheet.jpg").unlink()
    assert run(album, "-o", out, "--compare")[0] == 0
    assert (out / "contact_sheet.jpg").exists()


def test_what_seems_a_photograph_and_is_left_out_is_counted(album, tmp_path, run):
    (album / "scan.JP2").write_bytes(b"\0\0\0\x0cjP  ")
    (album / "sub" / "a.tga").write_bytes(b"")
    (album / "b.tga").write_bytes(b"")
    (album / "._photo1.png").write_bytes(b"\0\5\x16\7")
    (album / "README").write_text("of aunt Mary")
    scene(0).save(album / "grandmother", "JPEG")
    if hasattr(os, "mkfifo"):
        os.mkfifo(album / "pipe")
    code, out, err = run(album, "-o", tmp_path / "out")
    assert (code, len(out)) == (0, 12)
    lines = [line for line in err.splitlines() if line.startswith("left out")]
    assert lines == [
        "left out: 1 file named ._*, which macOS keeps beside photographs",
        "left out: 1 file of a format that is not read (.jp2)",
        "left out: 2 files of a format that is not read (.tga)",
        "left out: 1 file without a suffix; name them on the command line",
    ]
    assert run(album / "grandmother", "-o", tmp_path / "out2")[0] == 0
    for path in album.rglob("photo*.png"):
        path.unlink()
    code, _, err = run(album, "-o", tmp_path / "out3")
    assert code == 2
    assert "left out: 2 files" in err


@pytest.mark.parametrize("target", ["jpeg", "png", "webp", "tiff", "avif"])
def test_results_that_lie_in_the_album_are_not_coloured_again(album, run, target):
    options = ("--format", target, "--compare", "--confidence", "--variants", 2)
    assert run(album, "-o", album / "first", *options)[0] == 0
    code, out, err = run(album, "-o", album.parent / "second", "--format", target)
    assert (code, len(out)) == (0, 12)
    assert "12 colourized, 61 skipped" in err  # five files of each, and the contact sheet
    assert "61 in colour already" in err
    result = next(path for path in (album / "first").iterdir() if "photo1." in path.name)
    assert run(result, "-o", album.parent / "third")[0] == 0


def test_an_output_that_cannot_be_written_to_is_bad_usage_before_the_first(
    album, tmp_path, run, monkeypatch, checkpoint_file
):
    file = tmp_path / "letter.txt"
    file.write_text("dear aunt Mary")
    for output in (file, file / "below"):
        code, out, err = run(album, "-o", output)
        assert (code, out) == (2, [])
        assert err.startswith(f"error: -o {output}: {file} is a file, not a folder\nhint: ")
        assert err.count("\n") == 2
        assert file.read_text() == "dear aunt Mary"

    def refuse(**_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    code, out, err = run(album, "-o", tmp_path / "out")
    assert (code, out) == (2, [])
    assert err.startswith(f"error: -o {tmp_path / 'out'}: cannot be written to (permission denied)")


def test_a_device_that_is_not_there_is_bad_usage(album, capsys):
    if torch.cuda.is_available():
        pytest.skip("there is one here")
    with pytest.raises(SystemExit) as exit_info:
        colourize.main([str(album), "--device", "cuda"])
    assert exit_info.value.code == 2
    assert "cuda: there is none here" in capsys.readouterr().err


def test_several_folders_keep_their_names(album, tmp_path, run):
    other = tmp_path / "other"
    other.mkdir()
    scene(50).save(other / "photo0.png")
    code, _, _ = run(album, other, "-o", tmp_path / "out")
    assert code == 0
    assert (tmp_path / "out" / "album" / "photo0.png").exists()
    assert (tmp_path / "out" / "other" / "photo0.png").exists()


def test_where_results_go_does_not_depend_on_what_is_missing(album, tmp_path, run):
    one = scene(9)
    one.save(tmp_path / "one.png")
    code, files, err = run(album, tmp_path / "one.png", tmp_path / "gone.png", "-o", tmp_path / "a")
    assert (code, err.count("no such file or folder")) == (1, 1)
    assert str(tmp_path / "a" / "photo0.png") in files
    code, files, _ = run(album, tmp_path / "not-mounted", "-o", tmp_path / "b")
    assert code == 1
    assert str(tmp_path / "b" / "album" / "photo0.png") in files


def test_an_output_folder_inside_the_input_is_not_colourized_again(album, run):
    assert len(run(album, "-o", album / "colour")[1]) == 12
    assert run(album, "-o", album / "colour")[1] == []


def test_a_missing_path_is_named_and_the_rest_is_done(album, tmp_path, run):
    code, out, err = run(tmp_path / "nowhere", album, "-o", tmp_path / "out")
    assert (code, len(out)) == (1, 12)
    assert f"error: {tmp_path / 'nowhere'}: no such file or folder" in err
    assert run(tmp_path / "nowhere", "-o", tmp_path / "out")[0] == 2


def test_an_empty_folder_is_bad_usage(tmp_path, run):
    (tmp_path / "empty").mkdir()
    code, out, err = run(tmp_path / "empty", "-o", tmp_path / "out")
    assert (code, out) == (2, [])
    assert "no photographs there" in err
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_that_is_none_is_bad_usage(album, tmp_path, capsys):
    (tmp_path / "bad.pt").write_text("hello")
    assert (
        colourize.main(
            [str(album), "-o", str(tmp_path / "out"), "--checkpoint", str(tmp_path / "bad.pt")]
        )
        == 2
    )
    err = capsys.readouterr().err
    assert err.startswith(f"error: {tmp_path / 'bad.pt'}: not a checkpoint")
    assert "hint: " in err


def test_a_checkpoint_of_the_original_simply_works(album, tmp_path, capsys):
    original = {
        "epoch": 91,
        "model_state_dict": ClassicCNN().state_dict(),
        "optimizer_state_dict": {},
    }
    torch.save(original, tmp_path / "old.pth")
    args = [str(album), "-o", str(tmp_path / "out"), "--checkpoint", str(tmp_path / "old.pth")]
    assert colourize.main(args) == 0
    before, after = (
        photo_lightness(np.asarray(Image.open(folder / "photo1.png")))
        for folder in (album, tmp_path / "out")
    )
    assert (before - after).abs().mean() < 100 / 255  # not the lightness that it redrew


def test_ctrl_c_ends_with_130_and_whole_files_only(album, tmp_path, checkpoint_file):
    for i in range(3000):
        (album / f"more{i}.png").hardlink_to(album / "photo0.png")
    options = ["-o", tmp_path / "out", "--checkpoint", checkpoint_file]
    process = warm_process.start(["colourize.py", album, *options], cwd=ROOT)
    process.stdout.readline()
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in err
    for path in (tmp_path / "out").iterdir():
        Image.open(path).load()


def colourfulness_of(path) -> float:
    return colourfulness(torch.from_numpy(np.array(Image.open(path))).movedim(-1, 0) / 255)


def mean_yellow(path) -> float:
    rgb = torch.from_numpy(np.array(Image.open(path))).movedim(-1, 0) / 255
    return float(rgb_to_lab(rgb)[2].mean())


def test_a_look_is_what_the_options_beside_it_are_by_default(album, tmp_path, run):
    def coloured(*options) -> Path:
        out = tmp_path / "_".join(("out", *options))
        assert run(album / "photo0.png", "-o", out, "--no-tag", *options)[0] == 0
        return out / "photo0.png"

    natural, warm, cool = (coloured("--look", name) for name in ("natural", "warm", "cool"))
    assert natural.read_bytes() == coloured().read_bytes()
    assert mean_yellow(cool) + 2 < mean_yellow(natural) < mean_yellow(warm) - 2
    plain = coloured("--look", "warm", "--warmth", "0", "--saturation", "1")
    assert plain.read_bytes() == natural.read_bytes()
    assert mean_yellow(coloured("--warmth", "-0.6")) == mean_yellow(cool)
    assert colourfulness_of(coloured("--saturation", "0")) < 1


@pytest.mark.parametrize(
    "options",
    [["--look", "sepia"], ["--warmth", "1.5"], ["--saturation", "-1"], ["--warmth", "nan"]],
)
def test_a_look_that_there_is_not_is_bad_usage(album, run, options, capsys):
    with pytest.raises(SystemExit) as bad_usage:
        run(album, *options)
    assert bad_usage.value.code == 2
    assert options[1] in capsys.readouterr().err


def test_a_look_goes_with_variants_hints_a_reference_and_standard_input(
    album, tmp_path, run, monkeypatch, checkpoint_file
):
    photo, look = album / "photo0.png", ["--look", "faded-print"]
    for options in (["--variants", "2"], ["--hint", "9,9,#c02020"], ["--reference", photo]):
        written = []
        for looks in ([], look):
            out = tmp_path / f"{options[0]}{len(looks)}"
            assert run(photo, "-o", out, *options, *looks)[0] == 0
            names = sorted(path.name for path in out.iterdir())
            written.append([(out / name).read_bytes() for name in names])
        plain, faded = written
        assert all(one != other for one, other in zip(plain, faded, strict=True)), options
    run(photo, "-o", tmp_path / "file", *look)
    streamed = io.BytesIO()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(photo.read_bytes())))
    with monkeypatch.context() as patched:
        patched.setattr("sys.stdout", io.TextIOWrapper(streamed, write_through=True))
        assert colourize.main(["-", *look, "--checkpoint", str(checkpoint_file)]) == 0
        assert streamed.getvalue() == (tmp_path / "file" / "photo0.png").read_bytes()


def test_vividness_goes_from_safe_to_vivid(tmp_path):
    picture = SAMPLES / "coffee.jpg"
    for vividness in ("0", "0.5", "1"):
        options = ["-o", str(tmp_path / vividness), "--vividness", vividness]
        assert colourize.main([str(picture), *options]) == 0
    levels = [colourfulness_of(tmp_path / v / "coffee.jpg") for v in ("0", "0.5", "1")]
    assert levels[0] < levels[1] < levels[2]
    with pytest.raises(SystemExit) as bad_usage:
        colourize.main([str(picture), "--vividness", "2"])
    assert bad_usage.value.code == 2


def test_a_hint_gives_a_photograph_another_colour(album, tmp_path, run, checkpoint_file):
    picture = album / "photo0.png"
    code, files, _ = run(
        picture, "-o", tmp_path / "out", "--hint", "10,20,#c02020", "--hint", "50,40,2020c0"
    )
    assert (code, files) == (0, [str(tmp_path / "out" / "photo0.png")])
    hints = [(10, 20, (0xC0, 0x20, 0x20)), (50, 40, (0x20, 0x20, 0xC0))]
    expected = Colourizer.load(checkpoint_file, "cpu").colourize(Image.open(picture), hints=hints)
    with Image.open(tmp_path / "out" / "photo0.png") as image:
        assert np.abs(np.asarray(image).astype(int) - expected).max() <= 1


def test_a_hint_that_cannot_be_meant_is_named(album, tmp_path, run, capsys):
    code, _, err = run(album / "photo0.png", "-o", tmp_path, "--hint", "64,0,#ff0000")
    assert code == 1
    assert "photo0.png: hint 64,0: outside the photograph, which has 64x48 pixels" in err
    code, _, err = run(album, "-o", tmp_path, "--hint", "1,2,#ff0000")
    assert code == 2
    assert "--hint: is for one photograph alone, and here are 12" in err
    with pytest.raises(SystemExit):
        run(album / "photo0.png", "--hint", "1,2,red")
    assert "1,2,red: needs X,Y,#RRGGBB" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.png"))


def test_a_reference_gives_all_photographs_its_colours(album, tmp_path, run):
    scene(0).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "colour.png")
    distances = []
    for name, options in (("plain", []), ("like", ["--reference", tmp_path / "colour.png"])):
        code, _, err = run(album, "-o", tmp_path / name, *options)
        assert code == 0
        assert ("matched on average" in err) == bool(options)
        with Image.open(tmp_path / name / "photo0.png") as image:
            distances.append(np.abs(np.asarray(image).astype(int) - np.asarray(scene(0))).mean())
    assert distances[1] < 0.7 * distances[0]


def test_a_reference_says_how_much_of_a_photograph_matched(album, tmp_path, run):
    scene(0).save(tmp_path / "colour.png")
    options = ("-o", tmp_path / "out", "--json", "--reference", tmp_path / "colour.png")
    code, out, err = run(album / "photo0.png", *options)
    assert code == 0
    share = json.loads(out[0])["reference_match"]
    assert share > 0.5
    assert f"reference: {share:.0%} of photo0.png matched\n" in err


def test_a_reference_that_is_none_is_bad_usage(album, tmp_path, run):
    scene(0).convert("L").save(tmp_path / "grey.png")
    for name, word in (("grey.png", "has no colours to take"), ("gone.png", "no such file")):
        code, _, err = run(album, "-o", tmp_path / "out", "--reference", tmp_path / name)
        assert code == 2
        assert f"{name}: {word}" in err
    assert not (tmp_path / "out").exists()


def test_confidence_is_a_grey_map_beside_the_photo(album, tmp_path, run, checkpoint_file):
    out = tmp_path / "out"
    code, files, _ = run(album / "photo0.png", "-o", out, "--confidence")
    assert code == 0
    assert files == [str(out / "photo0.png"), str(out / "photo0_confidence.png")]
    with Image.open(out / "photo0_confidence.png") as image:
        assert (image.mode, image.size) == ("L", (64, 48))
        levels = np.asarray(image) / 255
    colourizer = Colourizer.load(checkpoint_file, "cpu")
    lightness = photo_lightness(np.array(Image.open(album / "photo0.png")))
    confidence = colourizer.predict([lightness])[0].confidence()
    assert levels.mean() == pytest.approx(confidence.mean().item(), abs=0.01)


def test_a_map_wanted_later_is_added_and_the_rest_left_alone(album, tmp_path, run):
    out = tmp_path / "out"
    run(album / "photo0.png", "-o", out)
    (out / "photo0.png").write_bytes(b"retouched by hand")
    code, files, err = run(album / "photo0.png", "-o", out, "--confidence")
    assert (code, err.split(" skipped")[0]) == (0, "1 colourized, 0")
    assert files == [str(out / "photo0_confidence.png")]
    assert (out / "photo0.png").read_bytes() == b"retouched by hand"
    assert (out / "photo0_confidence.png").exists()
    assert "1 skipped" in run(album / "photo0.png", "-o", out, "--confidence")[2]


def test_variants_are_different_colourings_of_the_same_lightness_and_a_sheet(
    album, tmp_path, run, monkeypatch, checkpoint_file
):
    looks = []
    forward = Model_CNN.forward_with_features
    monkeypatch.setattr(
        Model_CNN, "forward_with_features", lambda self, x: looks.append(1) or forward(self, x)
    )
    out = tmp_path / "out"
    code, files, _ = run(album / "photo0.png", "-o", out, "--variants", 4)
    assert code == 0
    assert len(looks) == 1
    names = ["photo0.png", *(f"photo0_variant{n}.png" for n in (2, 3, 4))]
    assert {p.name for p in out.iterdir()} == {*names, "photo0_4_variants.png"}
    assert len(files) == 5
    variants = [np.array(Image.open(out / name)) for name in names]
    truth = photo_lightness(np.array(Image.open(album / "photo0.png")))
    for n, one in enumerate(variants):
        assert (photo_lightness(one) - truth).abs().mean() < 100 / 255
        assert all(np.abs(one.astype(int) - other).mean() > 1 for other in variants[:n])
    plain = tmp_path / "plain"
    run(album / "photo0.png", "-o", plain)
    assert np.array_equal(variants[0], np.array(Image.open(plain / "photo0.png")))
    assert Image.open(out / "photo0_4_variants.png").size == (2 * 64, 2 * 48)
    more = run(album / "photo0.png", "-o", out, "--variants", 5)[1]
    assert more == [str(out / "photo0_variant5.png"), str(out / "photo0_5_variants.png")]


def test_files_beside_a_photo_never_take_another_photos_name(tmp_path, run):
    folder = tmp_path / "in"
    folder.mkdir()
    for i, name in enumerate(("cat.png", "cat.tif", "cat_variant2.png", "cat_confidence.png")):
        scene(i).save(folder / name)
    out = tmp_path / "out"
    plain = run(folder, "-o", out)[1]
    assert len(plain) == 4
    before = {file: Path(file).read_bytes() for file in plain}
    code, files, _ = run(folder, "-o", out, "--variants", 2, "--confidence")
    assert code == 0
    assert len({*files, *plain}) == 4 * 4
    assert {file: Path(file).read_bytes() for file in plain} == before


def test_an_original_beside_the_photo_is_never_taken_for_a_variant(album, run):
    scene(7).save(album / "photo0_variant2.png")
    original = (album / "photo0_variant2.png").read_bytes()
    both = [album / "photo0.png", album / "photo0_variant2.png"]
    code, _, err = run(*both, "-o", album, "--variants", 2, "--overwrite")
    assert code == 1
    assert err.count("would be written over itself") == 2
    assert (album / "photo0_variant2.png").read_bytes() == original


@pytest.fixture
def classic_checkpoint(tmp_path) -> Path:
    """A checkpoint of the original project, whose network has no likelihoods."""
    torch.manual_seed(0)
    path = tmp_path / "old.pth"
    torch.save({"epoch": 1, "model_state_dict": ClassicCNN().state_dict()}, path)
    return path


@pytest.mark.parametrize(
    "option",
    [
        ["--confidence"],
        ["--variants", "3"],
        ["--vividness", "0.3"],
        ["--look", "hand-tinted"],
        ["--album"],
    ],
)
def test_a_network_without_likelihoods_says_so(album, classic_checkpoint, capsys, option):
    assert colourize.main([str(album), "--checkpoint", str(classic_checkpoint), *option]) == 2
    err = capsys.readouterr().err
    assert "one answer only" in err
    assert "leave out --vividness" in err
    assert "--warmth and --saturation work" in err


def test_a_network_without_likelihoods_has_warmth_and_saturation(
    album, classic_checkpoint, tmp_path
):
    picture, checkpoint = str(album / "photo0.png"), str(classic_checkpoint)
    written = set()
    for options in ("", "--look warm", "--look cool", "--warmth 0.2 --saturation 0.5"):
        out = tmp_path / f"out{options}"
        command = [picture, "--checkpoint", checkpoint, "-o", str(out), *options.split()]
        assert colourize.main(command) == 0
        written.add((out / "photo0.png").read_bytes())
    assert len(written) == 4


def test_sixteen_bits_come_back_as_sixteen_bits(tmp_path, run):
    ramp = np.linspace(0, 65535, 80 * 40).reshape(40, 80).astype(np.uint16)
    for name in ("ramp.png", "ramp.tif"):
        Image.fromarray(ramp).save(tmp_path / name)
        assert run(tmp_path / name, "-o", tmp_path / "out")[0] == 0
        coloured = read_photo(tmp_path / "out" / name).pixels
        assert (coloured.shape, coloured.dtype) == ((40, 80, 3), np.uint16)
        difference = (photo_lightness(coloured) - photo_lightness(ramp)).abs()
        assert difference.mean() < 0.1  # Lab units
        assert len(np.unique(coloured[..., 1])) > 1000


def test_a_jpeg_of_grey_keeps_its_lightness(tmp_path, run):
    scene(3, 200, 150).convert("L").save(tmp_path / "a.jpg", quality=95)
    run(tmp_path / "a.jpg", "-o", tmp_path / "out")
    one, other = (np.asarray(Image.open(p / "a.jpg")) for p in (tmp_path, tmp_path / "out"))
    assert other.shape == (*one.shape, 3)
    assert (photo_lightness(one) - photo_lightness(other)).abs().mean() < 100 * 2 / 255


def test_another_format_can_be_asked_for(album, tmp_path, run):
    out = tmp_path / "out"
    for name in ("jpeg", "webp", "tiff", "png"):
        code, files, _ = run(album / "photo0.png", "-o", out, "--format", name)
        assert code == 0
        assert Image.open(files[0]).format == name.upper()
    assert {p.name for p in out.iterdir()} == {
        *("photo0.png", "photo0.png.jpg", "photo0.png.webp", "photo0.png.tif")
    }


def test_files_say_what_coloured_them_unless_told_not_to(tmp_path, run):
    for name in ("a.jpg", "a.png", "a.tif", "a.webp"):
        scene(0).save(tmp_path / name)
        run(tmp_path / name, "-o", tmp_path / "said")
        run(tmp_path / name, "-o", tmp_path / "silent", "--no-tag")
        words = [b"colourized with Image Colourizer", b"sha256"]
        assert all(word in (tmp_path / "said" / name).read_bytes() for word in words)
        assert not any(word in (tmp_path / "silent" / name).read_bytes() for word in words)


def test_no_photograph_takes_the_place_of_a_folder_of_others(run, tmp_path):
    scene(0).save(tmp_path / "a.jpg")
    (tmp_path / "b" / "a.jpg").mkdir(parents=True)
    scene(1).save(tmp_path / "b" / "a.jpg" / "c.jpg")
    out = tmp_path / "out"
    code, planned, _ = run(tmp_path / "a.jpg", tmp_path / "b", "-o", out, "--dry-run")
    assert (code, planned) == (0, [str(out / "a_2.jpg"), str(out / "a.jpg" / "c.jpg")])


def test_a_dry_run_says_what_would_be_written_and_writes_nothing(album, tmp_path, run):
    out = tmp_path / "out"
    run(album / "photo0.png", "-o", out)
    before = sorted(tmp_path.rglob("*"))
    code, planned, err = run(album, "-o", out, "--dry-run", "--confidence")
    assert (code, err) == (0, "12 would be colourized, 0 skipped, 0 failed\n")
    assert sorted(tmp_path.rglob("*")) == before
    assert len(planned) == 12 + 11
    assert sorted(run(album, "-o", out, "--confidence")[1]) == sorted(planned)


def test_json_has_a_line_for_each_photograph_whatever_became_of_it(album, tmp_path, run):
    (album / "letter.jpg").write_text("dear aunt Mary")
    run(album / "photo0.png", "-o", tmp_path / "out")
    report = tmp_path / "reports" / "run.jsonl"
    code, out, _ = run(album, "-o", tmp_path / "out", "--json", "--report", report)
    assert code == 1
    rows = {Path(row["source"]).name: row for row in map(json.loads, out)}
    assert len(rows) == len(out) == 13
    assert rows["photo1.png"]["result"] == "colourized"
    assert rows["photo1.png"]["files"] == [str(tmp_path / "out" / "photo1.png")]
    assert rows["photo0.png"] | {"seconds": 0} == {
        "source": str(album / "photo0.png"),
        "result": "skipped",
        "files": [],
        "seconds": 0,
        "reason": "there already",
    }
    assert rows["letter.jpg"]["result"] == "failed"
    assert "not an image" in rows["letter.jpg"]["reason"]
    recorded = map(json.loads, report.read_text().splitlines())
    assert {Path(row["source"]).name: row["result"] for row in recorded} == {
        name: row["result"] for name, row in rows.items()
    }


def test_compare_shows_grey_and_colour_and_a_sheet_of_all(album, tmp_path, run):
    out = tmp_path / "out"
    assert run(album, "-o", out, "--compare")[0] == 0
    pair = np.asarray(Image.open(out / "photo0_compared.jpg")).astype(int)
    assert pair.shape == (48, 128, 3)
    assert np.ptp(pair[:, :60], axis=-1).max() < 10  # grey, though the photograph has colours
    assert np.ptp(pair[:, 68:], axis=-1).mean() > 10
    assert Image.open(out / "contact_sheet.jpg").width > 1000
    assert len(list(out.rglob("*_compared.jpg"))) == 12


def test_each_folder_has_its_contact_sheet(album, tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(album, "--compare")
    run(album / "sub", "--compare")
    assert (tmp_path / "colourized" / "album" / "contact_sheet.jpg").exists()
    assert (tmp_path / "colourized" / "sub" / "contact_sheet.jpg").exists()


def test_the_contact_sheet_takes_no_other_files_place(album, tmp_path, run):
    out = tmp_path / "out"
    scene(3).save(album / "contact_sheet.jpg")
    files = run(album, "-o", out, "--compare")[1]
    assert str(out / "contact_sheet_2.jpg") in files
    sheet = (out / "contact_sheet.jpg").read_bytes()
    scene(4).save(album / "one_more.png")
    assert run(album, "-o", out, "--compare")[0] == 0
    assert (out / "contact_sheet.jpg").read_bytes() != sheet  # ours: drawn again
    scene(5).save(out / "contact_sheet.jpg")
    mine = (out / "contact_sheet.jpg").read_bytes()
    code, _, err = run(album, "-o", out, "--compare")
    assert (code, (out / "contact_sheet.jpg").read_bytes()) == (1, mine)
    assert "contact_sheet.jpg: is not ours and was left alone" in err


def test_a_photograph_is_never_written_over_another(tmp_path, run, monkeypatch):
    (tmp_path / "sub").mkdir()
    scene(1).save(tmp_path / "x.png")
    scene(2).save(tmp_path / "sub" / "x.png")
    before = (tmp_path / "x.png").read_bytes()
    monkeypatch.chdir(tmp_path)
    code, files, err = run("sub/x.png", "x.png", "-o", ".", "--overwrite")
    assert (code, files) == (1, ["x_2.png"])
    assert "error: x.png: would be written over itself" in err
    assert (tmp_path / "x.png").read_bytes() == before


def test_a_folder_that_may_not_be_looked_into_is_named(album, tmp_path, run, monkeypatch):
    walk = os.walk

    def walk_badly(top, onerror=None, **options):
        if onerror:
            onerror(PermissionError(13, "Permission denied", str(album / "locked")))
        return walk(top, onerror=onerror, **options)

    monkeypatch.setattr("colourizer.photos.files.os.walk", walk_badly)
    code, files, err = run(album, "-o", tmp_path / "out")
    assert (code, len(files)) == (1, 12)
    assert f"error: {album / 'locked'}: permission denied" in err
    assert "12 colourized, 0 skipped, 1 failed" in err


def test_one_photograph_goes_through_standard_input_and_output(tmp_path, checkpoint_file):
    scene(0).save(tmp_path / "a.jpg")
    command = [ROOT / "colourize.py", "-", "--checkpoint", checkpoint_file]
    content = (tmp_path / "a.jpg").read_bytes()
    done = warm_process.run(command, content, cwd=tmp_path, text=False)
    assert (done.returncode, done.stderr) == (0, b"")
    with Image.open(io.BytesIO(done.stdout)) as image:
        assert (image.format, image.size, image.mode) == ("JPEG", (64, 48), "RGB")
    assert [p.name for p in tmp_path.iterdir()] == ["a.jpg"]


def test_what_is_no_photograph_on_standard_input_is_an_error(run, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"dear aunt Mary")))
    code, out, err = run("-")
    assert (code, out) == (1, [])
    assert err.startswith("error: standard input: not an image")


def test_what_a_killed_run_left_is_removed_next_time(album, tmp_path, run):
    out = tmp_path / "out"
    out.mkdir()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    machine = atomic_file.MACHINE
    names = {
        f".part-{machine}-{gone.pid}-x": False,
        f".part-{machine}-{os.getpid()}-x": True,
        ".part-elsewhere-1-old": False,
        ".part-elsewhere-1-new": True,
        "own.part-": True,
    }
    for name in names:
        (out / name).write_bytes(b"half")
    long_ago = time.time() - 2 * 3600
    os.utime(out / ".part-elsewhere-1-old", (long_ago, long_ago))
    run(album / "photo0.png", "-o", out)
    kept = {name for name, stays in names.items() if stays}
    assert {p.name for p in out.iterdir()} == kept | {"photo0.png"}


def use_cores(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Let colourize.py work as on a machine of so many cores."""
    for module in (batch, run_module):
        monkeypatch.setattr(module, "count_cores", lambda: count)


def test_no_more_photographs_are_in_memory_than_fit(album, tmp_path, run, monkeypatch):
    at_once, lock = [], threading.Lock()
    most = 0
    read = batch.read_prepared

    def watched(path, *options):
        nonlocal most
        with lock:
            at_once.append(path)
            most = max(most, len(at_once))
        time.sleep(0.02)
        with lock:
            at_once.remove(path)
        return read(path, *options)

    monkeypatch.setattr(batch, "read_prepared", watched)
    use_cores(monkeypatch, 4)
    monkeypatch.setattr(run_module, "pixels_in_flight", lambda: 64 * 48 * 10)
    assert len(run(album, "-o", tmp_path / "a")[1]) == 12
    assert most > 1
    most = 0
    monkeypatch.setattr(run_module, "pixels_in_flight", lambda: 100)  # less than one has
    assert len(run(album, "-o", tmp_path / "b")[1]) == 12
    assert most == 1


@pytest.mark.parametrize(
    "options",
    [
        *(["-", "--json"], ["-", "--dry-run"], ["-", "-o", "x"], ["-", "--variants", "3"]),
        *(["-", "a.jpg"], ["a.jpg", "--report", "b.jpg"]),
    ],
    ids=" ".join,
)
def test_options_without_a_meaning_are_bad_usage(options, run):
    with pytest.raises(SystemExit) as bad_usage:
        run(*options)
    assert bad_usage.value.code == 2


def test_one_photograph_that_cannot_be_predicted_does_not_stop_its_neighbours(
    album, tmp_path, run, monkeypatch, checkpoint_file
):
    predict = Colourizer.predict

    def fails_for_one(self, photographs, with_features):
        if any(lightness.shape[-1] == 64 and lightness.mean() > 99 for lightness in photographs):
            raise RuntimeError("what nobody\n  expected\n")
        return predict(self, photographs, with_features)

    monkeypatch.setattr(Colourizer, "predict", fails_for_one)
    use_cores(monkeypatch, 1)
    Image.new("L", (64, 48), 255).save(album / "photo1.png")
    code, out, err = run(album, "-o", tmp_path / "out", "--json")
    assert code == 1
    assert [line for line in err.splitlines() if "error" in line] == [
        f"error: {album / 'photo1.png'}: what nobody expected"
    ]
    rows = [json.loads(line) for line in out]
    (failed,) = (row for row in rows if row["result"] == "failed")
    assert failed["reason"] == "what nobody expected"
    for row in rows:
        assert row["seconds"] > 0
        assert all(Path(path).exists() for path in row["files"])
        assert len(row["files"]) == (row["result"] == "colourized")


@pytest.mark.parametrize("count", [0, 1, 7, 100])
@pytest.mark.parametrize("threads", [1, 2, 8])
def test_groups_are_full_but_in_the_end_where_every_thread_gets_its_share(count, threads):
    jobs = list(range(count))
    groups = list(batch.cut_into_groups(jobs, 4, threads))
    assert [job for group in groups for job in group] == jobs
    sizes = [len(group) for group in groups]
    assert sizes == sorted(sizes, reverse=True)
    assert all(1 <= size <= 4 for size in sizes)
    assert sizes.count(4) >= count // 4 - 2 * threads
    assert sizes[-threads:].count(1) == min(threads, len(sizes))


@pytest.mark.parametrize("size", [1, 3])
def test_the_size_of_batches_and_groups_changes_nothing(album, tmp_path, run, monkeypatch, size):
    monkeypatch.setattr("colourizer.inference.colourizer.CPU_BATCH_SIZE", size)
    monkeypatch.setattr(colourize, "Colourizer", Colourizer)  # is loaded anew, with that size
    monkeypatch.setattr(run_module, "BATCHES_PER_GROUP", 2)
    use_cores(monkeypatch, 1)  # more would share the 12 of them
    groups = []
    colourize_group = batch.colourize_group

    def counted(jobs, run):
        groups.append(len(jobs))
        return colourize_group(jobs, run)

    monkeypatch.setattr(batch, "colourize_group", counted)
    assert run(album, "-o", tmp_path / "out")[0] == 0
    assert max(groups) == (2 * size if size > 1 else 1)
    monkeypatch.setattr(run_module, "GROUP_PIXELS", 1)
    code, out, _ = run(album, "-o", tmp_path / "alone")
    assert (code, len(out)) == (0, 12)
    for path in (tmp_path / "out").rglob("*.*"):
        alone = tmp_path / "alone" / path.relative_to(tmp_path / "out")
        assert np.abs(np.asarray(Image.open(path)) - np.asarray(Image.open(alone))).max() <= 1


def test_it_lets_itself_have_as_many_files_open_as_its_groups_need(album, tmp_path, run):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, before[1]))
    try:
        assert run(album, "-o", tmp_path / "out", "--variants", 4)[0] == 0
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        groups = run_module.MAX_FLUSHING_GROUPS
        assert soft > run_module.BATCHES_PER_GROUP * CPU_BATCH_SIZE * (1 + 5) * groups
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_asked_to_stop_it_ends_what_it_has_begun_and_says_so(album, tmp_path, run, monkeypatch):
    predict = Colourizer.predict

    def asked(*args):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)  # the main thread notes it
        return predict(*args)

    monkeypatch.setattr(Colourizer, "predict", asked)
    use_cores(monkeypatch, 1)
    monkeypatch.setattr(colourize, "PATIENCE", 60)
    monkeypatch.setattr("colourizer.runtime.interrupt.Interrupt._end", lambda _: None)
    report = tmp_path / "report.jsonl"
    code, out, err = run(album, "-o", tmp_path / "out", "--report", report)
    assert (code, out) == (143, [])
    assert "0 colourized, 0 skipped, 0 failed" in err
    assert "cannot be written" not in err
    assert {json.loads(line)["result"] for line in report.read_text().splitlines()} == {"stopped"}
    assert not [p for p in (tmp_path / "out").rglob("*") if p.is_file()]


def test_on_request_a_grey_jpeg_stays_in_its_coloured_one_bit_for_bit(tmp_path, run):
    names = ("a.jpg", "b.jpg", "c.png", "d.jpg")
    for i, name in enumerate(names):
        image = scene(i).convert("RGB" if name == "d.jpg" else "L")
        image.save(tmp_path / name, **({"progressive": True} if name == "b.jpg" else {}))

    def luma_of(path: Path) -> np.ndarray:
        with Image.open(path) as image:
            image.draft("L", None)
            return np.asarray(image)

    files = [tmp_path / name for name in names]
    for options, same in (((), False), (("--keep-luma",), True)):
        out = tmp_path / f"out{same}"
        code, _, _ = run(*files, "-o", out, *options)
        assert code == 0
        for name in names[:2]:
            assert np.array_equal(luma_of(tmp_path / name), luma_of(out / name)) == same
            assert Image.open(out / name).convert("HSV").getchannel("S").getextrema()[1] > 20
        assert Image.open(out / "d.jpg").size == (64, 48)


def test_a_full_disk_ends_the_run_and_leaves_no_partial_file(album, tmp_path, run, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    use_cores(monkeypatch, 1)
    with monkeypatch.context() as later:
        later.setattr("os.fsync", full)
        code, out, err = run(album, "-o", tmp_path / "out")
    assert (code, out) == (1, [])
    assert err.count("cannot be written (no space left on device)") == 1  # not once for each
    assert f"error: {tmp_path / 'out'}: the disk is full" in err
    assert not [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
    assert "12 colourized" in run(album, "-o", tmp_path / "out")[2]


def test_who_does_not_stop_is_ended_and_leaves_nothing_half_written(tmp_path):
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[1]); from pathlib import Path; "
        "from colourizer.runtime import atomic_file, interrupt\n"
        "def write(file): file.write(b'half'); print('ready', flush=True); time.sleep(60)\n"
        "with interrupt.Interrupt(0.3, atomic_file.discard_part_files):\n"
        "    atomic_file.write_atomically(Path(sys.argv[2]), write)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(ROOT), str(tmp_path / "a.jpg")], stdout=subprocess.PIPE
    )
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=5) == 143
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_without_a_stream_photographs_are_coloured_all_the_same(
    album, tmp_path, checkpoint_file, closed
):
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); setattr(sys, sys.argv.pop(1), None); "
        "import colourize; colourize.run()"
    )
    options = [str(album), "-o", str(tmp_path / "out"), "--checkpoint", str(checkpoint_file)]
    done = warm_process.run(["-c", code, ROOT, closed, *options], text=False)
    assert (done.returncode, done.stderr.count(b"Traceback")) == (0, 0)
    assert len([path for path in (tmp_path / "out").rglob("*") if path.is_file()]) == 12


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
def test_a_full_standard_error_stops_nothing(album, tmp_path, checkpoint_file):
    (album / "torn.jpg").write_bytes(b"\xff\xd8\xff torn")
    options = [str(album), "-o", str(tmp_path / "out"), "--checkpoint", str(checkpoint_file)]
    with Path("/dev/full").open("wb") as full:
        done = warm_process.run([ROOT / "colourize.py", *options], stderr=full)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 12


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
@pytest.mark.parametrize("stream", [True, False])
def test_a_full_standard_output_is_said_in_a_sentence(album, tmp_path, checkpoint_file, stream):
    photo = album / "photo0.png"
    source = ["-"] if stream else [str(album), "-o", str(tmp_path / "out")]
    with Path("/dev/full").open("wb") as full, photo.open("rb") as stdin:
        command = [ROOT / "colourize.py", *source, "--checkpoint", checkpoint_file]
        done = warm_process.run(command, stdin=stdin, stdout=full)
    assert done.returncode == 1
    assert done.stderr.count("error: standard output: no space left on device") == 1
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert stream or len([p for p in (tmp_path / "out").rglob("*") if p.is_file()]) == 12
