"""Small pictures made of others: JPEGs in memory, and grids of tiles."""

import io
import math

from PIL import Image


def to_jpeg(image: Image.Image, quality: int, comment: bytes = b"") -> bytes:
    """Return an image encoded as JPEG, without metadata but for the comment."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, comment=comment)
    return file.getvalue()


def tile_images(
    images: list[Image.Image],
    columns: int | None = None,
    cell: tuple[int, int] | None = None,
    gap: tuple[int, int] = (0, 0),
    background: str = "black",
) -> Image.Image:
    """Return images in a grid, from left to right, then from top to bottom.

    Args:
        images: at least one.
        columns: the most that stand in a row; None is about as many as there are rows.
        cell: (width, height) that each image gets, in whose upper left corner it lies; None is the
            size of the first.
        gap: (x, y), pixels between the cells.
        background: a colour.
    """
    width, height = cell or images[0].size
    across, down = width + gap[0], height + gap[1]
    columns = min(columns or math.ceil(math.sqrt(len(images))), len(images))
    rows = -(-len(images) // columns)
    grid = Image.new("RGB", (columns * across - gap[0], rows * down - gap[1]), background)
    for n, image in enumerate(images):
        grid.paste(image, (n % columns * across, n // columns * down))
    return grid
