"""film/coherence.py: scenes keep their colours, cuts begin anew, titles stay grey."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image
from support.scenes import SAMPLES

from colourizer.film.coherence import FilmColours
from colourizer.inference.colourizer import Colourizer
from colourizer.inference.hints import WEAK_MATCH, Hint
from colourizer.inference.lightness import photo_lightness
from colourizer.inference.looks import NATURAL
from colourizer.network.classic_cnn import ClassicCNN

SIZE = (96, 128)  # of frames, in pixels


@pytest.fixture(scope="module")
def colourizer():
    return Colourizer.load(device="cpu")


@cache
def lightness_of(name):
    image = Image.open(SAMPLES / f"{name}.jpg").convert("L").resize(SIZE[::-1])
    return photo_lightness(np.asarray(image))


def frame(number, name="coffee"):
    """A sample photograph, with the grain of one of a film's frames."""
    lightness = lightness_of(name)
    grain = torch.randn(lightness.shape, generator=torch.Generator().manual_seed(number))
    return (lightness + grain).clamp(0, 100)


def mean_change(colours):
    changes = [(one - other).abs().mean() for one, other in pairwise(colours)]
    return sum(changes) / len(changes)


def test_a_frame_without_content_stays_grey(colourizer):
    colours = FilmColours(colourizer, NATURAL)
    assert not colours.colourize(torch.full((1, *SIZE), 40.0)).any()
    assert colours.colourize(frame(0)).abs().max() > 1


def test_a_film_goes_on_after_restore_as_without_it(colourizer, tmp_path):
    whole, begun, resumed = (FilmColours(colourizer, NATURAL, SIZE) for _ in range(3))
    hint = Hint(20, 40, (200, 30, 30))
    for n in range(2):
        for colours in (whole, begun):
            colours.colourize(frame(n), [hint] if n == 1 else [])
    torch.save(begun.state(), tmp_path / "state.pt")
    resumed.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    assert torch.equal(whole.colourize(frame(2)), resumed.colourize(frame(2)))


def test_a_film_says_how_much_of_its_frames_the_reference_matches(colourizer):
    in_colour = SAMPLES.with_name("samples_in_colour")
    shares = []
    for name in ("coffee", "raccoon"):
        reference = colourizer.study_reference(Image.open(in_colour / f"{name}.jpg"))
        begun, resumed = (FilmColours(colourizer, NATURAL, SIZE, reference) for _ in range(2))
        assert begun.match is None
        begun.colourize_batch([frame(0), frame(1)])
        resumed.restore(begun.state())
        assert resumed.match == begun.match
        shares.append(begun.match)
    assert shares[0] > WEAK_MATCH > shares[1]


def test_a_batch_of_frames_gets_the_colours_of_one_after_the_other(colourizer):
    one, batch = (FilmColours(colourizer, NATURAL, SIZE) for _ in range(2))
    frames = [frame(n) for n in range(3)]
    for single, of_batch in zip(
        map(one.colourize, frames), batch.colourize_batch(frames), strict=True
    ):
        torch.testing.assert_close(single, of_batch, atol=0.2, rtol=0)


def test_the_network_sees_every_other_frame_and_all_that_show_something_new(
    colourizer, monkeypatch
):
    seen = []

    def record(lightness, network=colourizer.decoder_features):
        seen.append(len(lightness))
        return network(lightness)

    monkeypatch.setattr(colourizer, "decoder_features", record)
    film = FilmColours(colourizer, NATURAL)
    film.colourize_batch([frame(n) for n in range(5)])
    film.colourize_batch([frame(0, name) for name in ("skyline", "raccoon", "flag")])
    assert seen == [3, 3]


def test_a_still_scene_keeps_its_colours(colourizer):
    frames = [frame(n) for n in range(8)]
    film = FilmColours(colourizer, NATURAL)
    coherent = [film.colourize(lightness) for lightness in frames]
    alone = [FilmColours(colourizer, NATURAL).colourize(lightness) for lightness in frames]
    assert mean_change(coherent[4:]) < 0.35 * mean_change(alone[4:])
    same = [film.colourize(frames[0]) for _ in range(2)]
    assert mean_change(same) < 0.1


def test_a_cut_begins_anew(colourizer):
    film = FilmColours(colourizer, NATURAL)
    for n in range(3):
        film.colourize(frame(n))
    after = film.colourize(frame(0, "skyline"))
    assert torch.equal(after, FilmColours(colourizer, NATURAL).colourize(frame(0, "skyline")))


def test_a_scene_goes_on_after_a_black_frame(colourizer):
    film = FilmColours(colourizer, NATURAL)
    before = [film.colourize(frame(n)) for n in range(4)][-1]
    assert not film.colourize(torch.zeros(1, *SIZE)).any()
    after = film.colourize(frame(4))
    alone = FilmColours(colourizer, NATURAL).colourize(frame(4))
    assert (after - before).abs().mean() < 0.6 * (alone - before).abs().mean()


def test_levels_are_those_of_the_whole_scene(colourizer, monkeypatch):
    inputs = []

    def record(lightness, network=colourizer.decoder_features):
        inputs.append(lightness)
        return network(lightness)

    monkeypatch.setattr(colourizer, "decoder_features", record)
    film = FilmColours(colourizer, NATURAL)
    faded = 30 + 0.4 * frame(0)
    film.colourize(faded)
    for _ in range(2):  # the network sees one of them at least; what was lightest has gone
        film.colourize(faded.clamp_max(faded.quantile(0.9)))
    unchanged = inputs[0] < 0.8 * inputs[0].max()
    assert (inputs[0] - inputs[1])[unchanged].median() == 0


def test_a_hint_holds_until_a_cut(colourizer):
    film, unhinted = (FilmColours(colourizer, NATURAL, SIZE) for _ in range(2))
    film.colourize(frame(0), [Hint(64, 48, (255, 0, 0))])
    unhinted.colourize(frame(0))
    with_hint, without = film.colourize(frame(1)), unhinted.colourize(frame(1))
    middle = with_hint.shape[2] // 2, with_hint.shape[3] // 2
    assert with_hint[0, 0][middle] > 60  # a of red is 80
    assert (with_hint - without).abs().max() > 20
    cut = frame(0, "skyline")
    assert torch.equal(film.colourize(cut), unhinted.colourize(cut))


def test_a_hint_on_a_frame_without_content_waits_for_one_with_it(colourizer):
    film = FilmColours(colourizer, NATURAL, SIZE)
    assert not film.colourize(torch.zeros(1, *SIZE), [Hint(64, 48, (255, 0, 0))]).any()
    ab = film.colourize(frame(0))
    assert ab[0, 0, ab.shape[2] // 2, ab.shape[3] // 2] > 60


def test_a_long_scene_takes_no_more_memory_than_a_short_one(colourizer):
    film = FilmColours(colourizer, NATURAL)

    def numbers():
        scene = film.state()["scene"]
        return sum(tensor.numel() for tensor in scene.values())

    film.colourize(frame(0))
    after_one = numbers()
    for n in range(1, 6):
        film.colourize(frame(n))
    assert numbers() == after_one


def test_a_network_without_likelihoods_colours_frame_by_frame():
    colourizer = Colourizer(ClassicCNN(), torch.device("cpu"))
    film = FilmColours(colourizer, NATURAL)
    frames = [frame(n) for n in range(2)]
    assert [ab.shape for ab in film.colourize_batch(frames)] == [
        film.colourize(frames[0]).shape
    ] * 2
