"""Hints for films: the colour at a place of the frame, from a time on."""

import re
from typing import NamedTuple

from colourizer.inference.hints import Hint, HintError, parse_hint


class FilmHint(NamedTuple):
    """A known colour of a point from a time on, until a cut.

    hint: in pixels of an upright frame.
    seconds: after the film's first frame; None where no time was given.
    """

    hint: Hint
    seconds: float | None


def parse_film_hint(text: str) -> FilmHint:
    """Parse X,Y,#RRGGBB, or X,Y,#RRGGBB@SECONDS.

    Raises:
        HintError: it is something else.
    """
    place, at, time = text.partition("@")
    if at and not re.fullmatch(r"\d{1,6}(\.\d{1,6})?", time, flags=re.ASCII):
        raise HintError(f"{text[:40]}: needs seconds after the @, as 12.5")
    return FilmHint(parse_hint(place), float(time) if at else None)
