"""training_data.py: what is trained on, what is held out, and crops that a seed decides."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import scene

from training_data import ROTATED, Batches, gather, random_crop, split


def test_grey_tiny_and_broken_photos_are_left_out_and_counted(album):
    scene(0).convert("L").save(album / "grey.png")
    scene(0, 20, 20).save(album / "tiny.png")
    (album / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    data = gather([album], None, side=256)
    assert data.rejected == {"near grey": 1, "smaller than 32 pixels": 1, "unreadable": 1}
    assert len(data.train) + len(data.validation) == 12
    assert data.train[0].dtype == torch.uint8
    assert data.train[0].shape == (3, 48, 64)
    assert data.validation.shape[1:] == (3, 256, 256)


def test_nothing_is_both_trained_on_and_held_out(tmp_path):
    paths = [tmp_path / "resized" / f"{i}.jpg" for i in range(400)]
    paths += [tmp_path / "resized_rotated" / f"{i}{ROTATED}_31.jpg" for i in range(400)]
    train, held_out = split(paths)
    assert 5 <= len(held_out) <= 40
    assert not {p.stem for p in held_out} & {p.stem.split(ROTATED)[0] for p in train}
    more_train, more_held_out = split([*paths, tmp_path / "new.jpg"])
    assert set(held_out) <= set(more_held_out)
    assert set(train) <= set(more_train)


def test_a_folder_of_three_holds_one_out(tmp_path):
    train, held_out = split([tmp_path / name for name in ("a.jpg", "b.jpg", "c.jpg")])
    assert len(train) >= 1
    assert len(held_out) >= 1


def test_a_validation_folder_is_used_instead_and_never_trained_on(album):
    data = gather([album], album / "sub", side=256)
    assert (len(data.train), len(data.validation)) == (10, 2)


@pytest.mark.parametrize(("height", "width"), [(40, 40), (32, 100), (100, 33)])
def test_a_crop_has_its_size_and_is_decided_by_its_seed(height, width):
    rgb = torch.randint(0, 256, (3, height, width), dtype=torch.uint8)
    crops = [random_crop(rgb, 32, seed) for seed in range(20)]
    assert all(crop.shape == (3, 32, 32) and crop.dtype == torch.uint8 for crop in crops)
    assert torch.equal(crops[3], random_crop(rgb, 32, seed=3))
    assert len({tuple(crop.flatten().tolist()) for crop in crops}) == 20


def test_half_of_the_crops_are_mirrored():
    ramp = torch.arange(64, dtype=torch.uint8).expand(3, 64, 64) * 4
    rising = [
        bool(c[0, 0, -1] > c[0, 0, 0]) for c in (random_crop(ramp, 32, s) for s in range(200))
    ]
    assert 70 < sum(rising) < 130


def test_every_other_crop_is_soft_but_keeps_its_colours(monkeypatch):
    rgb = torch.from_numpy(np.array(scene(0, 64, 64))).movedim(-1, 0)
    crops = [random_crop(rgb, 64, seed).float() for seed in range(40)]
    monkeypatch.setattr("training_data.SOFTEST", 1.0)  # none is made soft
    sharp = [random_crop(rgb, 64, seed).float() for seed in range(40)]
    pairs = list(zip(crops, sharp, strict=True))
    changed = [(a, b) for a, b in pairs if not torch.equal(a, b)]
    assert 10 < len(changed) < 30
    for a, b in changed:
        assert a.diff(dim=-1).abs().mean() < b.diff(dim=-1).abs().mean()
        assert (F.avg_pool2d(a, 4) - F.avg_pool2d(b, 4)).abs().mean() < 4


def test_an_epoch_sees_every_photo_once_and_goes_on_where_it_stopped():
    epoch = list(Batches(103, batch_size=10, seed=1, epoch=4))
    assert sorted(photo for batch in epoch for photo, _ in batch) == list(range(103))
    assert list(Batches(103, 10, seed=1, epoch=4, first=7)) == epoch[7:]
    assert list(Batches(103, 10, seed=1, epoch=5)) != epoch
    assert list(Batches(103, 10, seed=2, epoch=4)) != epoch


def test_there_is_no_batch_of_a_single_photo():
    assert [len(batch) for batch in Batches(31, 10, seed=0, epoch=0)] == [10, 10, 10]
    assert [len(batch) for batch in Batches(3, 10, seed=0, epoch=0)] == [3]
