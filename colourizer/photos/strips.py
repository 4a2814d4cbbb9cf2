"""Strips of pixel rows, and how zlib compresses them, for PNG and TIFF."""

import zlib
from collections.abc import Iterable, Iterator

import numpy as np

STRIP_BYTES = 1 << 18  # compressed at a time; each is a strip of a TIFF: readers like small ones
ZLIB_LEVEL = 1  # higher ones gain some percent on noise and take four times as long


def regroup_rows(strips: Iterable[np.ndarray], rows: int) -> Iterator[np.ndarray]:
    """Yield strips of any heights as strips of equal height; the last may have fewer rows."""
    waiting: list[np.ndarray] = []
    count = 0
    for strip in strips:
        while len(strip):
            waiting.append(strip[: rows - count])
            strip = strip[rows - count :]
            count += len(waiting[-1])
            if count == rows:
                yield waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
                waiting, count = [], 0
    if waiting:
        yield np.concatenate(waiting)


def deflate_strategy(bits: int) -> int:
    """Return zlib's strategy for differences of 8-bit or 16-bit values."""
    # The lower of 16 bits are noise, which hardly ever repeats: looking for matches of more than
    # one byte would gain 4% and take twice as long.
    return zlib.Z_RLE if bits == 16 else zlib.Z_DEFAULT_STRATEGY
