"""web/src: numbers that the page shares with the program are the program's."""

import re
from pathlib import Path

import pytest

from colourizer.app import handlers, shown_pictures
from colourizer.inference import hints, looks, preprocess, readout
from Model_CNN import STRIDE

SOURCES = Path(__file__).parents[2] / "web" / "src"
SHARED = [
    ("photographs.js", "DEFAULT_VIVIDNESS", readout.DEFAULT_VIVIDNESS),
    ("photographs.js", "MAX_REFERENCES", handlers.MAX_REFERENCES),
    ("drawing.js", "CONFIDENCE_GAMMA", shown_pictures.CONFIDENCE_GAMMA),
    ("working_size.js", "WORKING_PIXELS", preprocess.WORKING_PIXELS),
    ("working_size.js", "MULTIPLE", STRIDE),
    ("working_size.js", "MIN_DETAIL", preprocess.MIN_DETAIL),
    ("known_colours.js", "AB_LENGTH", hints.AB_LENGTH),
    ("known_colours.js", "OWN_WEIGHT", hints.OWN_WEIGHT),
    ("known_colours.js", "THING_WEIGHT", hints.THING_WEIGHT),
    ("known_colours.js", "POSITION_LENGTH", hints.POSITION_LENGTH),
    ("known_colours.js", "HINT_NOISE", hints.HINT_NOISE),
    ("known_colours.js", "REFERENCE_NOISE", hints.REFERENCE_NOISE),
    ("known_colours.js", "SAMPLE_STEP", hints.SAMPLE_STEP),
    ("look.js", "WARM_SHIFT", looks.WARM_SHIFT),
]


@pytest.mark.parametrize(("file", "name", "expected"), SHARED)
def test_the_page_has_the_program_s_numbers(file, name, expected):
    found = re.search(rf"const {name} = (.*?);", (SOURCES / file).read_text("utf-8"))
    assert found
    value = eval(found[1], {"__builtins__": {}})
    assert value == pytest.approx(list(expected) if isinstance(expected, tuple) else expected)
