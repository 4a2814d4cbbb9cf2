"""Tar shards: photographs in them are trained on as those in folders are."""

import shutil
import sys
import tarfile
from collections import namedtuple
from pathlib import Path

import fsspec
import pytest
import torch
from support.s3_server import s3_buckets
from support.scenes import scene, stops_after

import train
from colourizer.curation.derived_copies import original_of
from colourizer.network.checkpoint import load_checkpoint
from colourizer.photos.files import find_photos
from colourizer.training import batches as batches_module
from colourizer.training import stored_shards
from colourizer.training.batches import EpochConfig, ShardLoader
from colourizer.training.crops import CropConfig
from colourizer.training.data import bin_shares, read_training_set
from colourizer.training.shards import ShardsError, find_shards, list_members, stream
from colourizer.training.stored_shards import fetch_shards

SMALL = ["--size", "32", "--batch-size", "4", "--device", "cpu", "--epochs", "2"]
SMALL += ["--model", "classic"]  # the smallest network: any will do


@pytest.fixture
def shards(album, tmp_path) -> Path:
    """The album in three shards, as "tar" makes them; beside the photographs lie other files."""
    folder = tmp_path / "shards"
    folder.mkdir()
    photos = find_photos(album)
    for n in range(3):
        with tarfile.open(folder / f"part-{n}.tar", "w") as tar:
            for path in photos[n::3]:
                tar.add(path, path.relative_to(album))
                tar.add(__file__, path.relative_to(album).with_suffix(".json"))
            tar.add(photos[n], "__meta__/of-the-shard.png")
    return folder


def batches(shards: Path, batch_size=5, seed=0, epoch=0, first=0) -> list[torch.Tensor]:
    order = EpochConfig(batch_size, seed, epoch, first)
    return [
        batch.rgb
        for batch in read_training_set([shards], None, 48).batches(
            CropConfig(32, 0.5), order, workers=0
        )
    ]


def equal(one: list[torch.Tensor], two: list[torch.Tensor]) -> bool:
    return len(one) == len(two) and all(map(torch.equal, one, two))


def test_members_are_the_photographs_and_lie_where_they_say(shards, album):
    members = [member for shard in find_shards(shards) for member in list_members(shard)]
    assert sorted(member.name for member in members) == sorted(
        str(path.relative_to(album)) for path in find_photos(album)
    )
    for member in members:
        content = member.shard.read_bytes()[member.start : member.start + member.size]
        assert content == (album / member.name).read_bytes()


def test_a_stream_gives_each_photograph_once_shard_after_shard(shards, album):
    order = list(reversed(find_shards(shards)))
    members = [member for shard in order for member in list_members(shard)]
    streamed = list(stream(order))
    assert [path for path, _ in streamed] == [member.path for member in members]
    for (_, content), member in zip(streamed, members, strict=True):
        assert content == (album / member.name).read_bytes()


def test_photographs_are_held_out_by_name_and_their_copies_with_them(album, tmp_path):
    folder = tmp_path / "shards"
    folder.mkdir()
    with tarfile.open(folder / "a.tar", "w") as tar:
        for path in find_photos(album):
            tar.add(path, f"resized/x/{path.name}")
            tar.add(path, f"resized_rotated/x/{path.stem}_rotated_7.png")
    data = read_training_set([folder], None, 48)
    assert data.validation_paths
    assert len(data.train) == 2 * (12 - len(data.validation_paths))
    assert not {original_of(p) for p in data.validation_paths} & {
        original_of(p) for p in data.train_paths
    }


def test_an_epoch_sees_every_photograph_once_in_an_order_that_the_seed_decides(shards):
    data = read_training_set([shards], None, 48)
    mixed = ShardLoader(data.train, CropConfig(32, 0.5), EpochConfig(5, 0, 0))
    numbers = [number for number, _ in mixed._shuffled(torch.Generator().manual_seed(0))]
    assert sorted(numbers) == list(range(len(data.train)))
    assert numbers != sorted(numbers)
    assert equal(batches(shards), batches(shards))
    assert not equal(batches(shards), batches(shards, epoch=1))
    assert not equal(batches(shards), batches(shards, seed=1))


@pytest.mark.parametrize("limit", [{"SHUFFLE_BUFFER": 3}, {"SHUFFLE_BUFFER_BYTES": 20_000}, {}])
def test_an_epoch_goes_on_where_it_stopped(shards, monkeypatch, limit):
    for name, value in limit.items():
        monkeypatch.setattr(batches_module, name, value)
    epoch = batches(shards, batch_size=3)
    for first in range(len(epoch) + 1):
        assert equal(batches(shards, batch_size=3, first=first), epoch[first:])


def test_a_broken_photograph_is_replaced_by_one_beside_it(album, shards):
    names = read_training_set([album], None, 48).train_paths
    for shard in find_shards(shards):
        for member in list_members(shard):
            if album / member.name in names[:2]:
                with shard.open("r+b") as file:
                    file.seek(member.start)
                    file.write(b"broken")
    data = read_training_set([shards], None, 48)
    batches = [batch.rgb for batch in data.batches(CropConfig(32), EpochConfig(5, 0, 0), workers=0)]
    assert [len(rgb) for rgb in batches] == [5, 5]
    shares = bin_shares(data.train, torch.tensor([[0.0, 0.0], [40.0, 40.0]]))
    assert shares.sum().item() == pytest.approx(1)


def test_train_learns_from_shards_and_a_resumed_run_equals_an_unbroken_one(
    shards, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("colourizer.training.schedule.MIN_VALIDATIONS", 1)
    monkeypatch.setattr("colourizer.training.report.draw_progress", lambda *_: None)
    options = [str(shards), *SMALL, "-o"]
    assert train.main([*options, str(tmp_path / "unbroken")]) == 0
    assert "10 photographs to train on, 2 held out" in capsys.readouterr().out

    run = tmp_path / "stopped"
    with monkeypatch.context() as patch:
        patch.setattr(train, "Interrupt", stops_after(3))
        assert train.main([*options, str(run)]) == 130
    assert train.main(["--resume", str(run)]) == 0
    one, two = (
        load_checkpoint(tmp_path / name / "last.pt")["training"] for name in ("unbroken", "stopped")
    )
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_validation_folder_is_used_instead(shards, album):
    data = read_training_set([shards], album / "sub", 48)
    assert (len(data.train), len(data.validation)) == (12, 2)


@pytest.mark.parametrize("case", ["torn", "no tar", "beside photographs", "webdataset missing"])
def test_shards_that_cannot_be_used_are_an_error_in_a_line(
    shards, album, tmp_path, case, monkeypatch, capsys
):
    shard = shards / "part-1.tar"
    if case == "torn":
        shard.write_bytes(shard.read_bytes()[:3000])
    elif case == "no tar":
        shard.write_text("<html>")
    elif case == "beside photographs":
        scene(0).save(shards / "photo.png")
    else:
        monkeypatch.setitem(sys.modules, "webdataset.tariterators", None)
    code = train.main([str(shards), *SMALL, "-o", str(tmp_path / "run")])
    error = capsys.readouterr().err.splitlines()[0]
    assert code == 2
    assert error.startswith("error: ")
    assert str(shards) in error or "webdataset: not installed" in error


def test_a_shard_that_lost_photographs_ends_the_epoch_with_an_error(shards):
    data = read_training_set([shards], None, 48)
    (shards / "part-0.tar").write_bytes((shards / "part-1.tar").read_bytes())
    with pytest.raises(ShardsError, match="fewer photographs"):
        list(data.batches(CropConfig(32), EpochConfig(4, 0, 0), workers=0))


def store(storage, bucket: str, shards: Path) -> None:
    for shard in find_shards(shards):
        storage.pipe_file(f"{bucket}/{shard.name}", shard.read_bytes())
    storage.pipe_file(f"{bucket}/below/part-9.tar", b"")


@pytest.fixture
def stored(shards):
    """The shards in a storage: its file system, and their folder's address."""
    storage = fsspec.filesystem("memory")
    storage.store.clear()
    store(storage, "/bucket", shards)
    return storage, "memory://bucket"


@pytest.fixture
def in_s3(shards):
    """As stored, in S3, which is asked for them in blocks."""
    with s3_buckets() as (_, storage), pytest.MonkeyPatch.context() as patch:
        store(storage, "scans", shards)
        patch.setattr("colourizer.storage.files.LARGE", 1000)
        yield storage, "s3://scans"


@pytest.mark.parametrize("kind", ["stored", "in_s3"])
def test_shards_of_a_storage_are_fetched_once_and_anew_if_they_change(
    kind, request, shards, tmp_path, monkeypatch
):
    storage, address = request.getfixturevalue(kind)
    bucket = address.partition("://")[2]
    folder = fetch_shards(address, tmp_path)
    names = ["part-0.tar", "part-1.tar", "part-2.tar"]
    assert [path.name for path in find_shards(folder)] == names
    for path in find_shards(folder):
        assert path.read_bytes() == (shards / path.name).read_bytes()
    some = fetch_shards(f"{address}/part-{{0..1}}.tar", tmp_path)
    assert [path.name for path in find_shards(some)] == names[:2]

    fetched, fetch = [], stored_shards._fetch

    def count(shard, *args):
        fetched.append(shard.name)
        fetch(shard, *args)

    monkeypatch.setattr(stored_shards, "_fetch", count)
    storage.pipe_file(f"{bucket}/part-1.tar", (shards / "part-0.tar").read_bytes() + bytes(512))
    storage.rm(f"{bucket}/part-2.tar")
    assert fetch_shards(address, tmp_path) == folder
    assert fetched == ["part-1.tar"]
    assert [path.name for path in find_shards(folder)] == names[:2]


def test_train_learns_from_shards_of_a_storage_as_from_those_of_a_folder(
    in_s3, shards, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("colourizer.training.schedule.MIN_VALIDATIONS", 1)
    monkeypatch.setattr("colourizer.training.report.draw_progress", lambda *_: None)
    options = [*SMALL, "--cache", str(tmp_path / "cache"), "-o"]
    assert train.main([in_s3[1], *options, str(tmp_path / "stored")]) == 0
    assert "10 photographs to train on, 2 held out" in capsys.readouterr().out
    assert train.main([str(shards), *options, str(tmp_path / "local")]) == 0
    one, two = (
        load_checkpoint(tmp_path / name / "last.pt")["training"] for name in ("stored", "local")
    )
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize(
    ("address", "options", "said"),
    [
        ("memory://bucket", ["--no-cache"], "hint: leave out --no-cache"),
        ("memory://bucket/below", [], "no shard that can be read"),
        ("memory://none", [], "error: memory://none: no such file"),
        ("memory://bucket/part-{3..4}.tar", [], ": no such file"),
        ("memory://{bucket,bucket/below}/part-0.tar", [], "two shards are named part-0.tar"),
        ("what://bucket", [], "no storage is known by what://"),
        ("sftp://anna:secret@host/a", [], "error: sftp://host/a: an address with a user name"),
    ],
)
def test_shards_that_cannot_be_fetched_are_bad_usage(
    stored, address, options, said, tmp_path, capsys
):
    given = [*SMALL, "--cache", str(tmp_path / "cache"), *options, "-o", str(tmp_path / "run")]
    assert train.main([address, *given]) == 2
    err = capsys.readouterr().err
    assert said in err and "secret" not in err


def test_without_room_for_the_shards_it_is_said_how_much_they_need(stored, tmp_path, monkeypatch):
    usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 9, 1))
    with pytest.raises(ShardsError, match=r"the shards need \S+ GB, and 1e-09 are free"):
        fetch_shards(stored[1], tmp_path)
