"""Hints for films: what is parsed, and what is refused."""

import pytest

from colourizer.film.film_hints import FilmHint, parse_film_hint
from colourizer.inference.hints import Hint, HintError


def test_a_hint_may_have_seconds():
    hint = Hint(3, 4, (255, 0, 16))
    assert parse_film_hint("3,4,#ff0010@12.5") == FilmHint(hint, 12.5)
    assert parse_film_hint("3,4,ff0010@0") == FilmHint(hint, 0.0)
    assert parse_film_hint("3,4,#ff0010") == FilmHint(hint, None)


@pytest.mark.parametrize("text", ["3,4,#ff0010@", "3,4,#ff0010@-1", "3,4,#ff0010@1e3", "3@1"])
def test_what_is_no_hint_is_refused(text):
    with pytest.raises(HintError):
        parse_film_hint(text)


def test_minutes_are_said_to_be_none():
    with pytest.raises(HintError, match="needs seconds after the @"):
        parse_film_hint("film.mp4:3,4,#ff0010@1:30")


def test_a_hint_may_name_its_photograph():
    hint = Hint(3, 4, (255, 0, 16))
    assert parse_film_hint("1934/aunt.jpg:3,4,#ff0010") == FilmHint(hint, None, "1934/aunt.jpg")
    assert parse_film_hint("C:\\aunt.jpg:3,4,#ff0010").source == "C:\\aunt.jpg"
    assert parse_film_hint("film.mp4:3,4,#ff0010@2") == FilmHint(hint, 2.0, "film.mp4")
