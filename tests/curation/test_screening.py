"""screening.py: photographs in colour pass; grey, toned and drawn ones are rejected."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps
from support.scenes import SAMPLES, scene

from colourizer.curation.screening import measure_photo, reason_to_reject

IN_COLOUR = sorted((SAMPLES.parent / "samples_in_colour").glob("*.jpg"))


def as_jpeg(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=75)
    return Image.open(file).convert("RGB")


@pytest.mark.parametrize("path", IN_COLOUR, ids=lambda path: path.stem)
def test_a_photograph_passes_in_colour_and_is_rejected_in_grey_or_a_tone(path):
    image = Image.open(path)
    grey = image.convert("L")
    sepia = ImageOps.colorize(grey, (43, 24, 10), (255, 240, 205), (150, 110, 70))
    blue = ImageOps.colorize(grey, (10, 20, 50), (250, 250, 240), (100, 120, 150))
    assert reason_to_reject(measure_photo(image)) == ""
    for without in (grey.convert("RGB"), sepia, blue):
        assert reason_to_reject(measure_photo(as_jpeg(without))) == "near grey"


def test_charts_and_logos_are_graphics_and_a_night_sky_is_none():
    chart = Image.new("RGB", (640, 480), "white")
    draw = ImageDraw.Draw(chart)
    for i, colour in enumerate(("red", "green", "blue", "orange", "purple")):
        draw.rectangle((40 + 110 * i, 400 - 60 * i, 120 + 110 * i, 440), fill=colour)
    assert reason_to_reject(measure_photo(as_jpeg(chart))) == "graphic"
    night = Image.new("RGB", (640, 480), (2, 2, 6))
    night.paste(scene(1, 120, 160), (300, 250))
    assert reason_to_reject(measure_photo(as_jpeg(night))) == ""


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 2)])
def test_a_picture_of_any_size_has_statistics(size):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    statistics = measure_photo(Image.fromarray(pixels))
    assert 0 <= statistics.flat_share <= 1
    assert 0 < statistics.top_colours_share <= 1
