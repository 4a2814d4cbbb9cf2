"""Contact sheets: many photographs, small, on one picture, with their names below them."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from colourizer.photos.pictures import tile_images
from colourizer.runtime.process import ignore_notebook_backend

SIDE = 160  # pixels: the longest side of a photograph on a sheet
COLUMNS, ROWS = 10, 8
PER_SHEET = COLUMNS * ROWS
MARGIN, GAP, TITLE_HEIGHT, NAME_HEIGHT = 24, 14, 44, 24  # pixels
SHEET_WIDTH = 2 * MARGIN + COLUMNS * (SIDE + GAP) - GAP
PAPER, EMPTY, INK, NAME_INK, CROSS = "#f7f7f5", "#e6e6e2", "#2b2b28", "#5c5c57", "#c62f2f"
FADED = 0.65  # opacity of the paper's colour over a crossed-out photograph


@cache
def find_font() -> Path:
    """Return a font that, unlike Pillow's own, has the letters of most European languages."""
    ignore_notebook_backend()
    import matplotlib

    return Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")


@dataclass(frozen=True)
class Tile:
    """A photograph on a sheet.

    name: what stands below it.
    image: no side of it longer than SIDE; None if the photograph is broken.
    crossed_out: whether it is rejected.
    """

    name: str
    image: Image.Image | None
    crossed_out: bool


def draw_contact_sheet(title: str, tiles: list[Tile]) -> Image.Image:
    """Return a sheet of at most PER_SHEET photographs.

    Args:
        title: what stands above all of them.
        tiles: the photographs, from left to right and from top to bottom.
    """
    large, small = ImageFont.truetype(find_font(), 19), ImageFont.truetype(find_font(), 11)
    grid = tile_images(
        [draw_tile(tile, small) for tile in tiles], COLUMNS, gap=(GAP, GAP), background=PAPER
    )
    sheet = Image.new("RGB", (SHEET_WIDTH, grid.height + 2 * MARGIN + TITLE_HEIGHT), PAPER)
    sheet.paste(grid, (MARGIN, MARGIN + TITLE_HEIGHT))
    title = shorten(title, large, SHEET_WIDTH - 2 * MARGIN)
    ImageDraw.Draw(sheet).text((MARGIN, MARGIN), title, INK, large)
    return sheet


def draw_tile(tile: Tile, font: ImageFont.FreeTypeFont) -> Image.Image:
    """Return a photograph at the bottom of a square of paper, its name below it."""
    image = tile.image or Image.new("RGB", (SIDE, SIDE * 2 // 3), EMPTY)
    if tile.crossed_out:
        image = Image.blend(image, Image.new("RGB", image.size, PAPER), FADED)
    if tile.image is None:
        middle = (image.width / 2, image.height / 2)
        ImageDraw.Draw(image).text(middle, "broken", NAME_INK, font, anchor="mm")
    if tile.crossed_out:
        draw_cross(image)
    paper = Image.new("RGB", (SIDE, SIDE + NAME_HEIGHT), PAPER)
    paper.paste(image, ((SIDE - image.width) // 2, SIDE - image.height))
    name = shorten(tile.name, font, SIDE)
    ImageDraw.Draw(paper).text((SIDE // 2, SIDE + 6), name, NAME_INK, font, anchor="ma")
    return paper


def draw_cross(image: Image.Image) -> None:
    """Draw a cross from corner to corner."""
    mask = Image.new("L", (4 * image.width, 4 * image.height))  # supersampled, for smooth lines
    draw = ImageDraw.Draw(mask)
    for start, end in (((0, 0), mask.size), ((0, mask.height), (mask.width, 0))):
        draw.line((*start, *end), fill=255, width=16)
    image.paste(CROSS, mask=mask.resize(image.size, Image.Resampling.BOX))


def shorten(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Return a text at most `width` pixels wide, its middle replaced by "…" if need be."""
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
