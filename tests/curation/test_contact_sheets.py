"""Contact sheets: whatever is to be drawn, and what is crossed out."""

import os
import re

import numpy as np
from PIL import Image, ImageColor, ImageFont

from colourizer.curation.contact_sheets import FADED, PAPER, SIDE, Tile, draw_contact_sheet, shorten


def test_a_sheet_draws_any_shape_any_name_and_broken_ones():
    tall, flat = Image.new("RGB", (1, SIDE), "blue"), Image.new("RGB", (SIDE, 1), "blue")
    names = ["湖 \U0001f600 \x00.jpg", os.fsdecode(b"\xff.jpg"), "two\nlines.jpg", "long" * 60, ""]
    tiles = [Tile(name, tall, False) for name in names] + [Tile("b", None, True)] * 5
    sheet = draw_contact_sheet("title " * 90, [*tiles, Tile("flat", flat, True)])
    assert sheet.size == (48 + 10 * SIDE + 9 * 14, 48 + 44 + 2 * (SIDE + 24 + 14) - 14)
    colours = {colour for _, colour in sheet.getcolors(1 << 20) or ()}
    assert (0, 0, 255) in colours


def test_a_crossed_out_photograph_is_mostly_paper():
    blue = Image.new("RGB", (SIDE, SIDE), "#0000ff")
    sheet = draw_contact_sheet("", [Tile("", blue, True)])
    paper = np.array(ImageColor.getrgb(PAPER))
    expected = FADED * paper + (1 - FADED) * np.array([0, 0, 255])
    pixel = sheet.getpixel((24 + SIDE // 2, 68 + 20))  # above the lines' crossing
    assert np.abs(np.array(pixel) - expected).max() < 2


def test_a_long_name_loses_its_middle():
    font = ImageFont.load_default(size=11)
    short = shorten("0123456789abcdef.jpg" * 3, font, 100)
    assert re.fullmatch(r"0123\w*…\w*\.jpg", short)
    assert font.getlength(short) <= 100
    assert shorten("short.jpg", font, 100) == "short.jpg"
