"""EXIF orientation: where points and rectangles of a stored picture lie once it is upright."""

from collections.abc import Callable, Iterable

from PIL import ExifTags, Image

# (column, row) of the upright picture where a stored one has (x, y), both in [0, 1]; by the values
# of EXIF's tag Orientation (EXIF 2.32, 4.6.4; TIFF 6.0, page 36).
_TURNS: dict[int, Callable[[float, float], tuple[float, float]]] = {
    1: lambda x, y: (x, y),
    2: lambda x, y: (1 - x, y),
    3: lambda x, y: (1 - x, 1 - y),
    4: lambda x, y: (x, 1 - y),
    5: lambda x, y: (y, x),
    6: lambda x, y: (1 - y, x),
    7: lambda x, y: (1 - y, 1 - x),
    8: lambda x, y: (y, 1 - x),
}


STORED_ORIENTATION = "stored orientation"  # in the info of a HEIF, which its plugin turns upright


def read_orientation(image: Image.Image) -> int:
    """Return the orientation, 1 to 8, of an opened image that Pillow has not yet turned."""
    if image.format == "HEIF":  # whose EXIF need not say it
        return int(image.info.get(STORED_ORIENTATION, 1))
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # broken EXIF is no reason to give up a photograph
        return 1
    return int(orientation) if orientation in range(1, 9) else 1


def swaps_sides(orientation: int) -> bool:
    """Return whether the upright picture is as wide as the stored one is high."""
    return orientation > 4


def upright_size(image: Image.Image, orientation: int) -> tuple[int, int]:
    """Return the upright size (H, W) of an opened image that Pillow has not yet turned."""
    # Of a TIFF and a HEIF Pillow gives the upright size from the beginning.
    turned = swaps_sides(orientation) and image.format not in ("TIFF", "HEIF")
    return image.size if turned else (image.height, image.width)


def turn_point(orientation: int, x: float, y: float) -> tuple[float, float]:
    """Return where a point of the stored picture, both coordinates in [0, 1], lies upright."""
    return _TURNS[orientation](x, y)


def turn_extent(orientation: int, width: float, height: float) -> tuple[float, float]:
    """Return width and height, upright, of something that has these in the stored picture."""
    return (height, width) if swaps_sides(orientation) else (width, height)


def join_turns(orientations: Iterable[int]) -> int:
    """Return the orientation that does at once what several do one after the other."""
    mark = place = 0.25, 0.0  # which each turn puts elsewhere
    for orientation in orientations:
        place = turn_point(orientation, *place)
    return next(orientation for orientation in _TURNS if turn_point(orientation, *mark) == place)
