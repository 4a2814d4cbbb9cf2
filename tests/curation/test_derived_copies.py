"""derived_copies.py: which photograph a rotated or scaled copy is one of."""

from pathlib import Path

import pytest

from colourizer.curation.derived_copies import find_originals, original_of


@pytest.mark.parametrize(
    ("original", "copy"),
    [
        ("resized/cats/a.jpg", "resized_rotated/cats/a_rotated_31.jpg"),
        ("resized/cats/a.jpg", "resized_scaled/cats/a_scaled_128.jpg"),
        ("resized/a.png.jpg", "resized_rotated/a.png_rotated_1.jpg"),
        ("resized/a.jpg", "resized_scaled/a_scaled_384.jpg"),
        ("photos/a.png", "photos/a_rotated_3.png"),
        ("resized/my_rotated_1.jpg", "resized_rotated/my_rotated_1_rotated_31.jpg"),
        ("resized/my_rotated_1.jpg", "resized_scaled/my_rotated_1_scaled_64.jpg"),
    ],
)
def test_a_copy_has_the_name_of_its_original(original, copy):
    assert original_of(Path(original)) == original_of(Path(copy))
    assert find_originals([Path(copy), Path(original)]) == [Path(original)] or "my_" in original
    assert find_originals([Path(original), Path(copy)]) == [Path(original)]


@pytest.mark.parametrize(
    "name", ["a_rotated.jpg", "a_rotated_31b.jpg", "a_rotated_31 (2).jpg", "rotated_3.jpg"]
)
def test_only_a_number_at_the_end_makes_a_copy(name):
    assert original_of(Path(name))[1] == Path(name).stem
    assert find_originals([Path("a.jpg"), Path(name)]) == [Path("a.jpg"), Path(name)]


def test_somebodys_own_photographs_of_such_names_are_photographs():
    own = [Path("scans") / f"scan{i}_rotated_1.jpg" for i in range(5)]
    assert find_originals(own) == own
    assert find_originals([*own, Path("scans/scan3.jpg")]) == [
        *own[:3], own[4], Path("scans/scan3.jpg")
    ]  # fmt: skip


def test_one_of_several_copies_stands_for_an_original_that_is_gone():
    copies = [Path(f"resized_rotated/a_rotated_{angle}.jpg") for angle in (3, 5, 9)]
    assert find_originals(copies) == copies[:1]
