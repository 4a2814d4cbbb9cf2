"""Colours of a film's frames: grey where there is no content, the same after a restart."""

import pytest
import torch

from colourizer.film.coherence import FilmColours
from colourizer.inference.colourizer import Colourizer
from colourizer.inference.hints import Hint
from colourizer.inference.looks import NATURAL


@pytest.fixture(scope="module")
def colourizer(checkpoint_file):
    return Colourizer.load(checkpoint_file, "cpu")


def frame(seed):
    torch.manual_seed(seed)
    return torch.nn.functional.interpolate(torch.rand(1, 1, 6, 8) * 100, (48, 64))[0]


def test_a_frame_without_content_stays_grey(colourizer):
    colours = FilmColours(colourizer, NATURAL)
    assert not colours.colourize(torch.full((1, 48, 64), 40.0)).any()
    assert colours.colourize(frame(0)).abs().max() > 1


def test_a_film_goes_on_after_restore_as_without_it(colourizer, tmp_path):
    whole, begun, resumed = (FilmColours(colourizer, NATURAL, (48, 64)) for _ in range(3))
    hint = Hint(10, 20, (200, 30, 30))
    for n in range(2):
        for colours in (whole, begun):
            colours.colourize(frame(n), [hint] if n == 1 else [])
    torch.save(begun.state(), tmp_path / "state.pt")
    resumed.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    assert torch.equal(whole.colourize(frame(2)), resumed.colourize(frame(2)))


def test_a_batch_of_frames_gets_the_colours_of_one_after_the_other(colourizer):
    one, batch = (FilmColours(colourizer, NATURAL, (48, 64)) for _ in range(2))
    frames = [frame(n) for n in range(3)]
    for single, of_batch in zip(
        map(one.colourize, frames), batch.colourize_batch(frames), strict=True
    ):
        torch.testing.assert_close(single, of_batch, atol=0.2, rtol=0)
