"""Pillow's limits and warnings as reading photographs needs them, and restored afterwards."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, cast

from PIL import Image, PngImagePlugin

MAX_PIXELS = 500_000_000  # an A3 sheet at 1200 dpi has 280 megapixels, a glass negative 450
# Entries of warnings.filters: what Pillow finds odd about a file and reads all the same, and that
# a photograph is large.
_IGNORED = (
    ("ignore", None, UserWarning, re.compile(r"PIL\."), 0),
    ("ignore", None, Image.DecompressionBombWarning, None, 0),
)

_lock = Lock()
_active = 0  # calls, of all threads, that are within `pillow_limits`
_before: tuple[int | None, int, list[Any]] = (None, 0, [])


@contextmanager
def pillow_limits() -> Iterator[None]:
    """Raise Pillow's limits, for large scans and PNGs with large profiles, and ignore its warnings.

    Pillow keeps its limits in variables of modules, which belong to the whole process. They are
    changed when the first thread enters, and restored when the last one leaves.
    """
    global _active, _before
    with _lock:
        if not _active:
            filters = cast(list[Any], warnings.filters)
            _before = Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK, filters
            Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2  # Pillow refuses above twice this
            # By itself Pillow refuses a PNG whose profile or a text has more than 1 MB.
            PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY
            # filterwarnings() would make Python forget which warnings it has shown already, and
            # catch_warnings() restores another thread's filters.
            filters[:0] = _IGNORED
        _active += 1
    try:
        yield
    finally:
        with _lock:
            _active -= 1
            if not _active:
                Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK, filters = _before
                # Within somebody's catch_warnings() the current ones are a copy. The host may have
                # entries that equal ours: identity tells them apart.
                for entries in (filters, cast(list[Any], warnings.filters)):
                    entries[:] = [e for e in entries if not any(e is ours for ours in _IGNORED)]
