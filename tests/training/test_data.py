"""data.py: what is trained on, and what is held out."""

import pytest
import torch
from PIL import Image
from support.scenes import ROOT, scene

from colourizer.colour.bins import ab_bin_centres
from colourizer.curation.derived_copies import ROTATED, SCALED, original_of
from colourizer.curation.rejected_list import write_rejected
from colourizer.training import photo_cache
from colourizer.training.data import bin_shares, read_training_set
from colourizer.training.split import name_photos, split


def test_grey_tiny_and_broken_photos_are_left_out_and_counted(album):
    scene(0).convert("L").save(album / "grey.png")
    scene(0, 20, 20).save(album / "tiny.png")
    (album / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    data = read_training_set([album], None, side=256)
    assert data.rejected == {"near grey": 1, "smaller than 32 pixels": 1, "unreadable": 1}
    assert len(data.train) + len(data.validation) == 12
    assert data.train[0].dtype == torch.uint8
    assert data.train[0].shape == (3, 48, 64)
    assert data.validation.shape[1:] == (3, 256, 256)


def test_the_first_of_those_that_cannot_be_read_are_named(album, capsys):
    for n in range(7):
        (album / f"broken{n}.jpg").write_bytes(b"\xff\xd8\xff")
    data = read_training_set([album], album / "sub", side=256)
    assert data.rejected == {"unreadable": 7}
    printed = capsys.readouterr().err.splitlines()
    assert [f"broken{n}.jpg: " in line for n, line in enumerate(printed[:5])] == [True] * 5
    assert printed[5:] == ["note: and 2 more that cannot be read"]


def test_what_somebody_rejected_is_neither_trained_on_nor_held_out(album):
    write_rejected(album, [album / "photo1.png", album / "sub" / "photo10.png", album / "gone.png"])
    write_rejected(album / "sub", [album / "sub" / "photo11.png"])
    scene(12).save(album / "sub" / "photo12.png")
    data = read_training_set([album], album / "sub", side=256)
    assert data.rejected == {"in rejected.txt": 3}
    assert [path.name for path in data.validation_paths] == ["photo12.png"]
    assert len(data.train_paths) == len(data.train) == 9
    data = read_training_set([album, album / "sub"], None, side=256)
    assert data.rejected["in rejected.txt"] == 3
    rejected = {"photo1.png", "photo10.png", "photo11.png"}
    assert rejected.isdisjoint(path.name for path in [*data.train_paths, *data.validation_paths])


def test_the_parts_of_the_samples_can_be_trained_on_and_judged_by():
    parts = ROOT / "data" / "sample_parts"
    data = read_training_set([parts / "left"], parts / "right", side=256)
    assert (len(data.train), len(data.validation), data.rejected.total()) == (8, 8, 0)
    samples = {path.name for path in (ROOT / "data" / "samples_in_colour").glob("*.jpg")}
    assert {path.name for path in [*data.train_paths, *data.validation_paths]} == samples


def test_a_cache_changes_nothing_but_that_nothing_is_decoded_again(album, tmp_path, monkeypatch):
    scene(0).convert("L").save(album / "grey.png")
    scene(0, 20, 20).save(album / "tiny.png")
    scene(1).save(album / "again.jpg", quality=60)
    without = read_training_set([album], None, side=40)
    sets = [read_training_set([album], None, side=40, cache=tmp_path / "cache")]
    monkeypatch.setattr(photo_cache, "read_rgb", None)
    sets.append(read_training_set([album], None, side=40, cache=tmp_path / "cache"))
    assert [data.reused for data in sets] == [0, 15]
    for data in sets:
        assert (data.train_paths, data.validation_paths) == (
            without.train_paths,
            without.validation_paths,
        )
        assert data.rejected == without.rejected
        assert data.rejected.total() == 3
        assert torch.equal(data.validation, without.validation)
        assert all(torch.equal(*pair) for pair in zip(data.train, without.train, strict=True))


def test_a_copy_is_trained_on_once_and_never_what_is_held_out(album):
    held_out = read_training_set([album], album / "sub", side=256)
    for path in list(album.rglob("*.png")):
        Image.open(path).resize((80, 60)).save(album / f"{path.stem}_again.jpg")
    data = read_training_set([album], album / "sub", side=256)
    assert data.rejected["copies of others"] == 12
    assert len(data.train_paths) == len(held_out.train_paths)


def test_photographs_of_the_same_name_in_other_folders_are_others(album):
    for path in album.rglob("*.png"):
        number = int(path.stem.removeprefix("photo"))
        (album / "other").mkdir(exist_ok=True)
        scene(100 + number).save(album / "other" / path.name)
    scene(0).save(album / "sub" / "photo0.png")  # a copy of the one in the folder above
    data = read_training_set([album], album / "sub", side=256)
    assert data.rejected == {"copies of others": 1}
    assert len(data.train) == 10 - 1 + 12
    train, held_out = split(name_photos({album: sorted(album.rglob("*.png"))}))
    assert {*train, *held_out} == {*album.rglob("*.png")}


def test_a_copy_leaves_what_has_its_name_in_another_folder(tmp_path):
    for year in range(2010, 2022):
        (tmp_path / str(year) / "holiday").mkdir(parents=True)
        scene(year).save(tmp_path / str(year) / "holiday" / "1.png")
    (tmp_path / "again" / "holiday").mkdir(parents=True)
    scene(2015).save(tmp_path / "again" / "holiday" / "1.png")
    data = read_training_set([tmp_path], None, side=256)
    assert len(data.train) + len(data.validation) == 12
    assert data.rejected == {"copies of others": 1}


def test_rotated_copies_that_data_transformer_made_are_kept(album):
    for path in list(album.rglob("*.png")):
        Image.open(path).save(path.with_name(f"{path.stem}{ROTATED}_3.png"))
    data = read_training_set([album], None, side=256)
    assert len(data.train) + 2 * len(data.validation) == 24


@pytest.mark.parametrize("reverse", [False, True])
def test_scaled_copies_are_no_copies_of_others_in_whatever_order_they_are_read(tmp_path, reverse):
    folders = [tmp_path / name for name in ("resized", f"resized{ROTATED}", f"resized{SCALED}")]
    for folder, kind in zip(folders, ("", f"{ROTATED}_90", f"{SCALED}_40"), strict=True):
        (folder / "sky").mkdir(parents=True)
        for i in range(12):
            image = scene(i).rotate(90, expand=True) if kind.startswith(ROTATED) else scene(i)
            image = image.resize((53, 40)) if kind.startswith(SCALED) else image
            image.save(folder / "sky" / f"{i}{kind}.png")
    data = read_training_set(folders[::-1] if reverse else folders, None, side=256)
    assert not data.rejected
    assert {path.parent.parent for path in data.validation_paths} == {folders[0]}
    assert len(data.train) == 3 * (12 - len(data.validation_paths))
    scene(3).save(folders[0] / "sky" / "x.png")  # a copy of another, and not by its name
    data = read_training_set(folders[::-1] if reverse else folders, None, side=256)
    assert data.rejected["copies of others"] in (1, 3)


def test_copies_of_what_a_validation_folder_holds_are_not_trained_on(tmp_path):
    for i in range(4):
        for name in (f"resized/{i}.png", f"resized{ROTATED}/{i}{ROTATED}_9.png"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            scene(i).rotate(0 if ROTATED not in name else 90, expand=True).save(tmp_path / name)
    (tmp_path / "mine" / "resized").mkdir(parents=True)
    scene(9).save(tmp_path / "mine" / "resized" / "1.png")  # of the same name, and no copy
    data = read_training_set([tmp_path], tmp_path / "resized", side=256)
    assert data.train_paths == [tmp_path / "mine" / "resized" / "1.png"]
    assert len(data.validation_paths) == 4


def test_who_is_held_out_because_all_others_are_of_no_use_leaves_no_copy(tmp_path):
    paths = []
    for i in range(12):
        for name in (f"resized/{i}.png", f"resized{SCALED}/{i}{SCALED}_40.png"):
            paths.append(tmp_path / name)
            paths[-1].parent.mkdir(exist_ok=True)
            scene(i).save(paths[-1])
    for path in split(name_photos({tmp_path: paths}))[1]:
        path.write_text("broken")
    data = read_training_set([tmp_path], None, side=256)
    (held_out,) = data.validation_paths
    assert held_out.parent.name == "resized"
    assert original_of(held_out) not in {original_of(path) for path in data.train_paths}


def test_a_validation_folder_is_used_instead_and_never_trained_on(album):
    data = read_training_set([album], album / "sub", side=256)
    assert (len(data.train), len(data.validation)) == (10, 2)


def test_the_shares_of_the_bins_are_those_of_the_photographs_colours():
    centres = ab_bin_centres()
    red = torch.tensor([200, 30, 30], dtype=torch.uint8)[:, None, None].expand(3, 40, 40)
    grey = torch.full((3, 40, 40), 128, dtype=torch.uint8)
    shares = bin_shares([red, grey, grey, grey], centres)
    assert shares.sum().item() == pytest.approx(1)
    near_grey = centres.norm(dim=1) < 15
    assert shares[near_grey].sum().item() == pytest.approx(0.75, abs=0.02)
    assert shares[centres[:, 0] > 40].sum().item() == pytest.approx(0.25, abs=0.02)
