"""Rows of pixels, strip by strip, as PNG and TIFF take them."""

import zlib
from collections.abc import Iterable, Iterator

import numpy as np

STRIP_BYTES = 1 << 18  # compressed at a time; each is a strip of a TIFF: readers like small ones
ZLIB_LEVEL = 1  # higher ones gain some percent on noise and take four times as long


def regroup_rows(strips: Iterable[np.ndarray], rows: int) -> Iterator[np.ndarray]:
    """Cut strips of any heights into strips of so many rows; the last may have fewer."""
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
    """Choose how zlib looks for repetitions in values of so many bits."""
    # Of 16 bits the lower are noise, which hardly ever repeats: looking for repetitions of more
    # than one byte would gain 4% and take twice as long.
    return zlib.Z_RLE if bits == 16 else zlib.Z_DEFAULT_STRATEGY
