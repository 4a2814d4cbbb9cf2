"""What the commands say on stderr: errors with hints, and progress bars."""

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm


def print_error(error: object, *hints: str) -> None:
    """Write an error and what helps against it, above any progress bar.

    Args:
        error: a message, or an exception; the notes of an exception are hints too.
        hints: what the user can do, commands if possible.
    """
    notes = (*getattr(error, "__notes__", ()), *(f"hint: {hint}" for hint in hints))
    message = str(error) or type(error).__name__
    tqdm.write("\n".join((f"error: {message}", *notes)), file=sys.stderr)


def progress(items: Iterable[Any], what: str, total: int | None = None, **options: Any) -> tqdm:
    """Show a progress bar over the items, on a terminal only; options are tqdm's."""
    return tqdm(items, what, total, disable=not sys.stderr.isatty(), **{"unit": "photo"} | options)
