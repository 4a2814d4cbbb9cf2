"""split.py: what is trained on and what is held out, by path and folder."""

import hashlib
from pathlib import Path

import pytest

from colourizer.curation.derived_copies import ROTATED
from colourizer.curation.rejected_list import write_rejected
from colourizer.photos.files import find_photos
from colourizer.training.split import BY_NAME, choose_photos, name_photos, split


def split_of(folder: Path, paths: list[Path]) -> tuple[list[Path], list[Path]]:
    return split(name_photos({folder: paths}))


def test_nothing_is_both_trained_on_and_held_out(tmp_path):
    paths = [tmp_path / "resized" / f"{i}.jpg" for i in range(400)]
    paths += [tmp_path / "resized_rotated" / f"{i}{ROTATED}_31.jpg" for i in range(400)]
    train, held_out = split_of(tmp_path, paths)
    assert 5 <= len(held_out) <= 40
    assert not {p.stem for p in held_out} & {p.stem.split(ROTATED)[0] for p in train}
    more_train, more_held_out = split_of(tmp_path, [*paths, tmp_path / "new.jpg"])
    assert set(held_out) <= set(more_held_out)
    assert set(train) <= set(more_train)


@pytest.mark.parametrize("count", [3, 8, 12, 60, 150, 390])
@pytest.mark.parametrize("name", ["{}/same.jpg", "{}/{}.jpg", "same/{}.jpg", "{}/a/b/1.jpg"])
def test_of_a_small_folder_up_to_one_in_five_are_held_out_whatever_they_are_called(
    tmp_path, count, name
):
    paths = [tmp_path / name.format(n, n) for n in range(count)]
    train, held_out = split_of(tmp_path, paths)
    assert min(10, 0.1 * count) <= len(held_out) <= max(1, 0.2 * count + 0.5)
    assert sorted([*train, *held_out]) == sorted(paths)


def test_photographs_of_the_same_path_in_several_folders_are_told_apart(tmp_path):
    folders = [tmp_path / f"album{n}" for n in range(40)]
    paths = {folder: [folder / "1.jpg"] for folder in folders}
    train, held_out = split(name_photos(paths))
    assert 4 <= len(held_out) <= 8
    assert len({*train, *held_out}) == 40


def test_a_photograph_keeps_its_side_where_its_folder_is_moved_or_another_is_added(tmp_path):
    here, there, other = (tmp_path / name for name in ("here", "far/there", "other"))
    names = [f"{n % 3}/{n}.jpg" for n in range(100)]
    _, held_out = split_of(here, [here / name for name in names])
    expected = [str(path.relative_to(here)) for path in held_out]
    _, moved = split_of(there, [there / name for name in names])
    assert [str(path.relative_to(there)) for path in moved] == expected
    both = {folder: [folder / name for name in names] for folder in (here, other)}
    at_first, at_second = name_photos({here: both[here]}), name_photos(both)
    assert at_first.items() <= at_second.items()


def test_a_run_that_was_begun_by_name_keeps_its_split(tmp_path):
    """As it was drawn before: by the first byte of the hash of the file's name."""
    paths = [tmp_path / f"album{n % 7}" / f"{n}.jpg" for n in range(300)]
    share = 20 / 300
    chances = {p: hashlib.sha256(p.stem.encode()).digest()[0] / 256 for p in paths}
    train, held_out = split(name_photos({tmp_path: paths}), BY_NAME)
    assert held_out == [path for path in paths if chances[path] < share]
    assert train == [path for path in paths if chances[path] >= share]


def test_a_folder_of_three_holds_one_out(tmp_path):
    train, held_out = split_of(tmp_path, [tmp_path / name for name in ("a.jpg", "b.jpg", "c.jpg")])
    assert (len(train), len(held_out)) == (2, 1)


def test_a_folder_that_may_not_be_looked_into_is_named(album, monkeypatch, capsys):
    def find_photos(folder: Path, unreadable: list[OSError]) -> list[Path]:
        unreadable.append(PermissionError(13, "Permission denied", str(folder / "closed")))
        return [folder / "photo1.png"]

    monkeypatch.setattr("colourizer.training.split.find_photos", find_photos)
    choose_photos([album], None)
    assert capsys.readouterr().err == f"note: {album / 'closed'}: permission denied\n"


def test_links_are_photographs_of_the_folder_that_they_point_to(album, tmp_path):
    (tmp_path / "links").mkdir()
    for path in find_photos(album):
        (tmp_path / "links" / path.name).symlink_to(path)
    write_rejected(album, [album / "photo3.png"])
    train, held_out, rejected = choose_photos([album, tmp_path / "links"], album / "sub")
    assert {path.parent.name for path in held_out} == {"sub"}
    assert not {path.name for path in train} & {"photo3.png", "photo10.png", "photo11.png"}
    assert len(train) == 2 * 9
    assert rejected == {"in rejected.txt": 1}
