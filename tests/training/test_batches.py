"""batches.py: an epoch's batches, whoever makes them and wherever it goes on."""

import pytest
import torch

from colourizer.training.batches import CropSampler, EpochConfig
from colourizer.training.crops import CropConfig, make_batch
from colourizer.training.data import read_training_set


@pytest.mark.parametrize("processes", [0, 2])
def test_threads_and_processes_give_the_same_batches(album, processes):
    data = read_training_set([album], album / "sub", side=64)
    order = EpochConfig(batch_size=4, seed=1, epoch=2)
    loader = data.batches(CropConfig(32, 0.5), order, processes)
    assert len(loader) == 3
    for batch, indices in zip(loader, CropSampler(len(data.train), order), strict=True):
        numbers, seeds = zip(*indices, strict=True)
        expected = make_batch([data.train[n] for n in numbers], numbers, CropConfig(32, 0.5), seeds)
        assert all(torch.equal(*both) for both in zip(batch, expected, strict=True))


def test_an_epoch_sees_every_photo_once_and_goes_on_where_it_stopped():
    epoch = list(CropSampler(103, EpochConfig(batch_size=10, seed=1, epoch=4)))
    assert sorted(photo for batch in epoch for photo, _ in batch) == list(range(103))
    assert list(CropSampler(103, EpochConfig(10, seed=1, epoch=4, first_batch=7))) == epoch[7:]
    assert list(CropSampler(103, EpochConfig(10, seed=1, epoch=5))) != epoch
    assert list(CropSampler(103, EpochConfig(10, seed=2, epoch=4))) != epoch


def test_there_is_no_batch_of_a_single_photo():
    assert [len(batch) for batch in CropSampler(31, EpochConfig(10, seed=0, epoch=0))] == [
        10,
        10,
        10,
    ]
    assert [len(batch) for batch in CropSampler(3, EpochConfig(10, seed=0, epoch=0))] == [3]


@pytest.mark.parametrize("world_size", [2, 3, 4])
def test_processes_share_an_epoch_without_loss_or_repetition(world_size):
    whole = list(CropSampler(103, EpochConfig(10, seed=1, epoch=4)))
    shares = [
        list(CropSampler(103, EpochConfig(10, 1, 4, rank=rank, world_size=world_size)))
        for rank in range(world_size)
    ]
    whole = whole[: len(shares[0])]  # four processes leave out a batch of three
    assert len(whole) == (10 if world_size == 4 else 11)
    for number, batch in enumerate(whole):
        of_all = [sample for share in shares for sample in share[number]]
        assert sorted(of_all) == sorted(batch)
        sizes = [len(share[number]) for share in shares]
        assert min(sizes) >= 1
        assert max(sizes) - min(sizes) <= 1
