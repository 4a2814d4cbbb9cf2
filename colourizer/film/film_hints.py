"""Hints as they are written: of which photograph, or of a film from which time on."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from colourizer.inference.hints import Hint, HintError, parse_hint
from colourizer.inference.provenance import describe_hint, join_hints


class FilmHint(NamedTuple):
    """A known colour of a point; in a film from a time on, until a cut.

    hint: in pixels of an upright photograph or frame.
    seconds: after the film's first frame; None where no time was given.
    source: the name of the photograph or film; "" where none was given.
    """

    hint: Hint
    seconds: float | None
    source: str = ""


def parse_film_hint(text: str) -> FilmHint:
    """Parse X,Y,#RRGGBB, maybe with NAME: before it, and for films @SECONDS behind it.

    Raises:
        HintError: it is something else.
    """
    front, comma, rest = text.rpartition(",")
    source, _, position = front.rpartition(":")
    colour, at, time = rest.partition("@")
    if at and not re.fullmatch(r"\d{1,6}(\.\d{1,6})?", time, flags=re.ASCII):
        raise HintError(f"{text[:40]}: needs seconds after the @, as 12.5")
    return FilmHint(parse_hint(position + comma + colour), float(time) if at else None, source)


def describe_film_hints(hints: Iterable[FilmHint]) -> str:
    """Return hints as X,Y,#RRGGBB@SECONDS joined by |; of many, "sha256:" and the hash of that."""
    return join_hints(
        describe_hint(hint.hint) + ("" if hint.seconds is None else f"@{hint.seconds}")
        for hint in hints
    )
