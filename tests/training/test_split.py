"""split.py: what is trained on and what is held out, by name and folder."""

from colourizer.curation.derived_copies import ROTATED
from colourizer.curation.rejected_list import write_rejected
from colourizer.photos.files import find_photos
from colourizer.training.split import choose_photos, split


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
