"""orientation.py: points go where Pillow's turning takes them."""

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from colourizer.photos.orientation import (
    read_orientation,
    turn_extent,
    turn_point,
    upright_size,
)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_point_lies_where_turning_puts_its_pixel(orientation):
    pixels = np.zeros((20, 30), dtype=np.uint8)
    pixels[4, 7] = 255
    image = Image.fromarray(pixels)
    image.getexif()[ExifTags.Base.Orientation] = orientation
    assert read_orientation(image) == orientation
    size = upright_size(image, orientation)
    upright = np.asarray(ImageOps.exif_transpose(image))
    assert upright.shape == size == turn_extent(orientation, *pixels.shape)
    x, y = turn_point(orientation, 7.5 / 30, 4.5 / 20)
    assert upright[int(y * size[0]), int(x * size[1])] == 255


def test_an_orientation_that_there_is_not_turns_nothing():
    image = Image.new("L", (2, 3))
    for nonsense in (0, 9, 77):
        image.getexif()[ExifTags.Base.Orientation] = nonsense
        assert read_orientation(image) == 1
