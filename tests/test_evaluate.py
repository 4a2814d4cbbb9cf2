"""evaluate.py: the table, its floors, the sheet."""

import json

import pytest
import torch
from PIL import Image

import evaluate
from classic_cnn import ClassicCNN


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


def test_the_sheet_shows_grey_prediction_and_truth(album, tmp_path, checkpoint_file):
    sheet = tmp_path / "sheet.png"
    args = [album, "--checkpoint", checkpoint_file, "--sheet", sheet, "--limit", 3]
    assert evaluate.main([*map(str, args)]) == 0
    with Image.open(sheet) as image:
        assert image.size == (6 * evaluate.TILE + evaluate.GAP, evaluate.HEADER + 2 * evaluate.TILE)
        left = image.crop((0, evaluate.HEADER, evaluate.TILE, image.height)).convert("RGB")
        assert all(r == g == b for r, g, b in left.get_flattened_data())


def test_a_broken_photo_is_named_and_the_others_are_judged(album, checkpoint_file, capsys):
    (album / "broken.jpg").write_bytes(b"no")
    assert evaluate.main([str(album), "--checkpoint", str(checkpoint_file)]) == 1
    out, err = capsys.readouterr()
    assert f"error: {album / 'broken.jpg'}: not an image" in err
    assert "12 photographs judged, 1 failed" in err
    assert len(out.splitlines()) == 4


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_a_folder_without_photographs_is_bad_usage(tmp_path, capsys, name):
    (tmp_path / "empty").mkdir()
    assert evaluate.main([str(tmp_path / name)]) == 2
    assert "error: " in capsys.readouterr().err


def test_a_checkpoint_that_is_none_is_bad_usage(album, tmp_path, capsys):
    assert evaluate.main([str(album), "--checkpoint", str(tmp_path / "none.pt")]) == 2
    assert "none.pt: no such file" in capsys.readouterr().err
