"""Contact sheets: many photographs, small, on one picture, with their names below them."""

from dataclasses import dataclass
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

SIDE = 160  # pixels: the longest side of a photograph on a sheet
COLUMNS, ROWS = 10, 8
PER_SHEET = COLUMNS * ROWS
MARGIN, GAP, TITLE_HEIGHT, NAME_HEIGHT = 24, 14, 44, 24  # pixels
PAPER, EMPTY, INK, NAME_INK, CROSS = "#f7f7f5", "#e6e6e2", "#2b2b28", "#5c5c57", "#c62f2f"
FADED = 0.65  # how much of a crossed-out photograph is paper
# Unlike Pillow's own font, it has the letters of most European languages.
FONT = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")


@dataclass(frozen=True)
class Tile:
    """A photograph on a sheet.

    name: what stands below it.
    image: it, no side longer than SIDE; None if it is broken.
    crossed_out: whether it is rejected.
    """

    name: str
    image: Image.Image | None
    crossed_out: bool


def draw_contact_sheet(title: str, tiles: list[Tile]) -> Image.Image:
    """Draw a sheet of at most PER_SHEET photographs.

    Args:
        title: what stands above all of them.
        tiles: the photographs, from left to right and from top to bottom.
    """
    rows = -(-len(tiles) // COLUMNS)
    across, down = SIDE + GAP, SIDE + NAME_HEIGHT + GAP
    width = 2 * MARGIN + COLUMNS * across - GAP
    sheet = Image.new("RGB", (width, 2 * MARGIN + TITLE_HEIGHT + rows * down - GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    large, small = ImageFont.truetype(FONT, 19), ImageFont.truetype(FONT, 11)
    draw.text((MARGIN, MARGIN), shorten(title, large, width - 2 * MARGIN), INK, large)
    for n, tile in enumerate(tiles):
        row, column = divmod(n, COLUMNS)
        left, top = MARGIN + column * across, MARGIN + TITLE_HEIGHT + row * down
        sheet.paste(draw_tile(tile, small), (left, top))
        name = shorten(tile.name, small, SIDE)
        draw.text((left + SIDE // 2, top + SIDE + 6), name, NAME_INK, small, anchor="ma")
    return sheet


def draw_tile(tile: Tile, font: ImageFont.FreeTypeFont) -> Image.Image:
    """Draw a photograph on a square of paper, near what will stand below it."""
    paper = Image.new("RGB", (SIDE, SIDE), PAPER)
    image = tile.image or Image.new("RGB", (SIDE, SIDE * 2 // 3), EMPTY)
    if tile.crossed_out:
        image = Image.blend(image, Image.new("RGB", image.size, PAPER), FADED)
    width, height = image.size
    if tile.image is None:
        draw = ImageDraw.Draw(image)
        draw.text((width / 2, height / 2), "broken", NAME_INK, font, anchor="mm")
    if tile.crossed_out:
        mask = Image.new("L", (4 * width, 4 * height))  # four times as large: smooth lines
        draw = ImageDraw.Draw(mask)
        for start, end in (((0, 0), mask.size), ((0, mask.height), (mask.width, 0))):
            draw.line((*start, *end), fill=255, width=16)
        image.paste(CROSS, mask=mask.resize(image.size, Image.Resampling.BOX))
    paper.paste(image, ((SIDE - width) // 2, SIDE - height))
    return paper


def shorten(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Leave out the middle of a text that is wider than so many pixels, and what is no text."""
    # Undecodable bytes and control characters, a line break among them, cannot be drawn.
    text = "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
    kept = len(text)
    short = text
    while kept and font.getlength(short) > width:
        kept -= 1
        short = f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"
    return short
