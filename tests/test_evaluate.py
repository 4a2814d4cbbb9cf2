"""evaluate.py: the table, its floors, the sheet, the colours at several sizes."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from support.scenes import SAMPLES

import evaluate
from colourizer.colour.space import grey_to_lightness
from colourizer.network.checkpoint import BUNDLED
from colourizer.network.classic_cnn import ClassicCNN
from colourizer.runtime import cli


def table(capsys, *args) -> dict[str, dict]:
    assert evaluate.main([*map(str, args), "--json"]) == 0
    return {row["checkpoint"]: row for row in json.loads(capsys.readouterr().out)["rows"]}


def test_there_is_a_row_per_checkpoint_and_always_the_floors(
    album, tmp_path, checkpoint_file, capsys
):
    old = tmp_path / "old.pth"
    torch.save({"epoch": 1, "model_state_dict": ClassicCNN().state_dict()}, old)
    rows = table(capsys, album, "--crop", 48, "--checkpoint", checkpoint_file, "--checkpoint", old)
    assert list(rows) == ["grey", "mean ab", str(checkpoint_file), str(old)]
    assert all(row["n"] == 12 and row["photos/s"] > 0 for row in rows.values())
    assert rows["grey"]["colourfulness"] == rows["grey"]["ratio"] == 0
    assert rows["mean ab"]["ab-PSNR mean"] > rows["grey"]["ab-PSNR mean"]


def test_a_perfect_prediction_has_a_perfect_row(album, checkpoint_file, capsys, monkeypatch):
    # Photographs of one colour: there the mean ab is the truth.
    for path in album.rglob("*.png"):
        Image.new("RGB", (40, 40), (180, 90, 60)).save(path)
    row = table(capsys, album, "--crop", 0, "--checkpoint", checkpoint_file)["mean ab"]
    assert row["ab error"] == row["CIEDE2000"] == 0
    assert row["ratio"] == 1
    assert row["RGB-PSNR mean"] > 60


def test_the_figures_of_the_grey_row_are_those_of_scikit_image(album, checkpoint_file, capsys):
    import numpy as np
    import skimage.color
    import skimage.metrics

    psnrs, differences = [], []
    for path in sorted(album.rglob("*.png")):
        rgb = np.asarray(Image.open(path)) / 255
        lab = skimage.color.rgb2lab(rgb)
        grey = skimage.color.lab2rgb(lab * [1, 0, 0])
        psnrs.append(skimage.metrics.peak_signal_noise_ratio(rgb, grey, data_range=1))
        differences.append(skimage.color.deltaE_ciede2000(lab * [1, 0, 0], lab).mean())
    row = table(capsys, album, "--crop", 0, "--checkpoint", checkpoint_file)["grey"]
    assert row["RGB-PSNR mean"] == pytest.approx(np.mean(psnrs), abs=0.02)
    assert row["RGB-PSNR median"] == pytest.approx(np.median(psnrs), abs=0.02)
    assert row["CIEDE2000"] == pytest.approx(np.mean(differences), abs=0.02)


def test_vividness_gives_a_row_each_and_more_colour(capsys):
    photographs = SAMPLES.parent / "samples_in_colour"
    rows = table(capsys, photographs, "--limit", 2, "--vividness", 0, "--vividness", 1)
    safe, vivid = f"{BUNDLED} at 0.0", f"{BUNDLED} at 1.0"
    assert list(rows) == ["grey", "mean ab", safe, vivid]
    assert rows[vivid]["colourfulness"] > rows[safe]["colourfulness"]


def test_aged_photographs_look_different_but_are_judged_by_their_own_lightness(capsys):
    new, old, again = (
        table(capsys, SAMPLES.parent / "samples_in_colour", "--limit", 3, *option)
        for option in ([], ["--aged"], ["--aged"])
    )
    name = str(BUNDLED)
    assert new["grey"]["RGB-PSNR mean"] == old["grey"]["RGB-PSNR mean"]
    assert new[name]["ab error"] != old[name]["ab error"] == again[name]["ab error"]


def test_the_sheet_shows_grey_prediction_and_truth(album, tmp_path, checkpoint_file):
    sheet = tmp_path / "sheet.png"
    args = [album, "--checkpoint", checkpoint_file, "--sheet", sheet, "--limit", 3]
    assert evaluate.main([*map(str, args)]) == 0
    with Image.open(sheet) as image:
        assert image.size == (6 * evaluate.TILE + evaluate.GAP, evaluate.HEADER + 2 * evaluate.TILE)
        left = image.crop((0, evaluate.HEADER, evaluate.TILE, image.height)).convert("RGB")
        assert all(r == g == b for r, g, b in left.get_flattened_data())


def test_checkpoints_of_the_same_name_are_told_apart_on_the_sheet(
    album, tmp_path, checkpoint_file, monkeypatch
):
    headings = []

    def draw_sheet(_: list, names: list[str]) -> Image.Image:
        headings.extend(names)
        return Image.new("RGB", (1, 1))

    monkeypatch.setattr(evaluate, "draw_sheet", draw_sheet)
    runs = [tmp_path / name / "best.pt" for name in ("one", "two")]
    args = [album, "--sheet", tmp_path / "sheet.png", "--limit", 1]
    for run in runs:
        run.parent.mkdir()
        shutil.copy(checkpoint_file, run)
        args += ["--checkpoint", run]
    assert evaluate.main([*map(str, args)]) == 0
    assert headings == ["grey", *map(str, runs), "truth"]


def test_a_broken_photo_is_named_and_the_others_are_judged(album, checkpoint_file, capsys):
    (album / "broken.jpg").write_bytes(b"no")
    assert evaluate.main([str(album), "--checkpoint", str(checkpoint_file)]) == 1
    out, err = capsys.readouterr()
    assert f"error: {album / 'broken.jpg'}: not an image" in err
    assert "12 photographs judged, 1 failed" in err
    assert len(out.splitlines()) == 4


def test_a_folder_that_may_not_be_looked_into_is_named(album, checkpoint_file, capsys, monkeypatch):
    def find_photos(folder: Path, unreadable: list[OSError]) -> list[Path]:
        unreadable.append(PermissionError(13, "Permission denied", str(folder / "closed")))
        return [folder / "photo1.png"]

    monkeypatch.setattr(evaluate, "find_photos", find_photos)
    assert evaluate.main([str(album), "--checkpoint", str(checkpoint_file)]) == 1
    error, summary = capsys.readouterr().err.splitlines()
    assert error == f"error: {album / 'closed'}: permission denied"
    assert summary == "1 photographs judged, 1 failed"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_full_standard_output_is_said_in_a_sentence(
    album, checkpoint_file, capsys, monkeypatch, options
):
    monkeypatch.setattr(cli, "_failures", [])
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        args = [album, "--limit", 1, "--checkpoint", checkpoint_file, *options]
        assert evaluate.main([*map(str, args)]) == 0
        full.buffer.raw.close()  # what it holds is lost
    assert "error: standard output: no space left on device" in capsys.readouterr().err
    assert cli._failures


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_a_folder_without_photographs_is_bad_usage(tmp_path, capsys, name):
    (tmp_path / "empty").mkdir()
    assert evaluate.main([str(tmp_path / name)]) == 2
    assert "error: " in capsys.readouterr().err


def test_a_checkpoint_that_is_none_is_bad_usage(album, tmp_path, capsys):
    assert evaluate.main([str(album), "--checkpoint", str(tmp_path / "none.pt")]) == 2
    assert "none.pt: no such file" in capsys.readouterr().err


@pytest.fixture
def predicting(monkeypatch, checkpoint_file):
    """Make every colourizer predict a(lightness, x, y) at each pixel, x and y in [0, 1]; b is 0."""

    def use(a):
        def predict_ab(self, lightness):
            height, width = lightness.shape[-2:]
            y, x = (torch.arange(0.5, n)[:, None] / n for n in (height, width))
            plane = a(lightness[0], x.T, y) + torch.zeros(height, width)
            return torch.stack((plane, torch.zeros_like(plane)))

        monkeypatch.setattr(evaluate, "SIZES", (32, 64, 160))
        monkeypatch.setattr(evaluate.Colourizer, "predict_ab", predict_ab)
        return ["--checkpoint", checkpoint_file]

    return use


def test_colours_that_are_the_same_at_all_sizes_are_stable(album, capsys, predicting):
    args = predicting(lambda lightness, x, y: 60 * x - 20 * y)
    (row,) = table(capsys, album, "--size-stability", *args).values()
    assert max(row[pair] for pair in ("32-64", "32-160", "64-160")) < 0.1
    assert row["chroma 64"] == pytest.approx(row["chroma 32"], abs=0.1)
    assert row["chroma 32"] > 10
    assert row["n"] == 12


def test_colours_that_change_with_the_size_are_not_stable(album, capsys, predicting):
    # Photographs of 64 x 48 pixels: the shortest side is the height.
    args = predicting(lambda lightness, x, y: 0.0 if len(y) == 64 else len(y) / 10)
    (row,) = table(capsys, album, "--size-stability", *args).values()
    distances = {pair: row[pair] for pair in ("32-64", "32-160", "64-160")}
    assert distances == pytest.approx({"32-64": 3.2, "32-160": 12.8, "64-160": 16})
    assert row["worst pair"] == "64-160"
    assert [row[f"chroma {size}"] for size in (32, 64, 160)] == pytest.approx([3.2, 0, 16])


def test_at_every_size_the_network_is_given_what_a_grey_file_holds(album, capsys, predicting):
    seen = []
    args = predicting(lambda lightness, x, y: seen.append(lightness) or 0.0)
    table(capsys, album, "--size-stability", "--limit", 1, *args)
    shapes = [tuple(lightness.shape) for lightness in seen]
    assert shapes == [(32, 43), (64, 85), (160, 213)]
    levels = grey_to_lightness(torch.linspace(0, 1, 256))
    assert all(torch.isin(lightness, levels).all() for lightness in seen)
    assert all(lightness.std() > 1 for lightness in seen)


def test_size_stability_takes_a_number_of_photos_of_its_own(album, capsys, predicting, monkeypatch):
    args = [album, "--size-stability", *predicting(lambda lightness, x, y: 0.0)]
    monkeypatch.setattr(evaluate, "SIZE_PHOTOS", 3)
    assert [row["n"] for row in table(capsys, *args).values()] == [3]
    assert [row["n"] for row in table(capsys, *args, "--limit", 5).values()] == [5]


def test_size_stability_names_a_broken_photo(album, capsys, predicting):
    args = [*map(str, predicting(lambda lightness, x, y: 0.0)), "--size-stability"]
    (album / "broken.jpg").write_bytes(b"no")
    assert evaluate.main([str(album), *args]) == 1
    out, err = capsys.readouterr()
    assert "broken.jpg: not an image" in err
    assert "12 photographs judged, 1 failed" in err
    assert len(out.splitlines()) == 2
    for path in album.rglob("*.png"):
        path.unlink()
    assert evaluate.main([str(album), *args]) == 1
    assert "none of 1 photographs can be read" in capsys.readouterr().err


def test_the_bundled_network_is_judged_at_several_sizes(album, capsys, monkeypatch):
    monkeypatch.setattr(evaluate, "SIZES", (32, 96))
    (row,) = table(capsys, album, "--size-stability", "--limit", 1).values()
    assert row["32-96"] > 0
    assert row["chroma 32"] > 1


def test_flip_is_0_where_the_mirror_image_gets_the_same_colours(album, capsys, predicting):
    args = [album, "--limit", 2, "--crop", 32, *predicting(lambda lightness, x, y: lightness / 5)]
    assert all(row["flip"] == 0 for row in table(capsys, *args, "--flip").values())
    assert all("flip" not in row for row in table(capsys, *args).values())


def test_flip_is_how_far_apart_the_colours_of_the_mirror_image_are(album, capsys, predicting):
    args = [album, "--limit", 2, "--crop", 32, *predicting(lambda lightness, x, y: 40 * x)]
    *floors, row = table(capsys, *args, "--flip").values()
    assert row["flip"] == 20  # |40 x - 40 (1 - x)|, the mean
    assert [floor["flip"] for floor in floors] == [0, 0]


@pytest.mark.parametrize(("option", "module"), [("--lpips", "lpips"), ("--fid", "torch_fidelity")])
def test_a_package_that_is_not_installed_is_named_with_the_command_that_helps(
    album, capsys, checkpoint_file, monkeypatch, option, module
):
    monkeypatch.setitem(sys.modules, module, None)
    args = [album, "--checkpoint", checkpoint_file, option]
    assert evaluate.main([*map(str, args)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f"error: {option} needs the package {module.replace('_', '-')}" in err
    assert 'hint: pip install -e ".[evaluate]"' in err


def test_a_classifier_that_is_not_there_is_bad_usage(album, capsys, checkpoint_file):
    args = [album, "--checkpoint", checkpoint_file, "--classifier", "no_such_package"]
    assert evaluate.main([*map(str, args)]) == 2
    err = capsys.readouterr().err
    assert "error: no_such_package: neither a file nor an installed package" in err
    assert "hint: pip install " in err


@pytest.mark.parametrize(
    "options", [["--size-stability", "--flip"], ["--fid", "--crop", "0"]], ids=str
)
def test_options_that_contradict_each_other_are_bad_usage(album, capsys, options):
    with pytest.raises(SystemExit) as stop:
        evaluate.main([str(album), *options])
    assert stop.value.code == 2
    assert "error: --" in capsys.readouterr().err
