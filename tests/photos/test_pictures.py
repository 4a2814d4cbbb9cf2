"""pictures.py: JPEGs in memory, and images in a grid."""

import io

import pytest
from PIL import Image
from support.scenes import scene

from colourizer.photos.pictures import tile_images, to_jpeg

RED, GREEN, BLUE = (Image.new("RGB", (4, 3), name) for name in ("red", "lime", "blue"))


def test_a_jpeg_has_no_metadata_but_its_comment():
    photo = scene(1, 20, 30)
    photo.info = {"comment": b"aunt Mary", "exif": b"Exif\0\0"}
    for comment in (b"", b"a contact sheet"):
        with Image.open(io.BytesIO(to_jpeg(photo, 90, comment))) as image:
            assert (image.format, image.size) == ("JPEG", photo.size)
            assert image.info.get("comment", b"") == comment
            assert not image.getexif()


def test_images_stand_from_left_to_right_and_then_below():
    grid = tile_images([RED, GREEN, BLUE], columns=2)
    assert grid.size == (8, 6)
    corners = [grid.getpixel(place) for place in ((0, 0), (7, 0), (0, 5), (7, 5))]
    assert corners == [(255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0)]


@pytest.mark.parametrize(("count", "size"), [(1, (4, 3)), (2, (8, 3)), (5, (12, 6)), (9, (12, 9))])
def test_without_a_number_of_columns_there_are_about_as_many_as_rows(count, size):
    assert tile_images([RED] * count).size == size


def test_smaller_images_lie_in_cells_with_gaps_of_the_background():
    grid = tile_images([RED, BLUE], 2, cell=(6, 5), gap=(2, 1), background="white")
    assert grid.size == (14, 5)
    assert grid.getpixel((3, 2)) == (255, 0, 0)
    assert grid.getpixel((8, 0)) == (0, 0, 255)
    assert {grid.getpixel(place) for place in ((4, 0), (0, 3), (7, 0), (13, 4))} == {(255,) * 3}
