"""The looks of the page are those of the command."""

import json
import re

from support.scenes import ROOT

from colourizer.inference.looks import LOOKS
from colourizer.inference.readout import DEFAULT_VIVIDNESS

LOOKS_OF_PAGE = ROOT / "colourizer" / "app" / "page" / "editor" / "looks.js"


def test_the_page_has_the_looks_of_the_command():
    found = re.search(r"LOOKS = (\{.*?\n\});", LOOKS_OF_PAGE.read_text(), re.DOTALL)
    looks = json.loads(re.sub(r",(\s*\})", r"\1", found[1]))
    assert list(looks) == list(LOOKS)
    for name, settings in looks.items():
        if settings["vividness"] is None:  # the photograph's default
            settings["vividness"] = DEFAULT_VIVIDNESS
        assert settings == vars(LOOKS[name])
