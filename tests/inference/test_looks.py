"""Looks: what warmth and saturation do to chroma, and which settings they take."""

import math

import numpy as np
import pytest
import torch
from support.scenes import scene

from colourizer.colour.space import MAX_LIGHTNESS
from colourizer.inference.colourizer import Colourizer
from colourizer.inference.lightness import photo_lightness
from colourizer.inference.looks import LOOKS, NATURAL, WARM_SHIFT, Look, apply_look, choose_look
from colourizer.inference.preprocess import reduced_lightness

WARM, COOL, PALE = Look(warmth=0.5), Look(warmth=-0.5), Look(saturation=0.5)
MIDDLE = torch.full((1, 1, 4, 4), MAX_LIGHTNESS / 2)
GREY = torch.zeros(1, 2, 4, 4)


@pytest.fixture(scope="module")
def colourizer(checkpoint_file):
    return Colourizer.load(checkpoint_file, "cpu")


@pytest.fixture(scope="module")
def prediction(colourizer):
    lightness = reduced_lightness(np.asarray(scene(5)))
    return colourizer.predict([lightness], with_features=True)[0]


def test_natural_changes_nothing_bit_for_bit(prediction):
    ab = torch.randn(1, 2, 6, 8) * 30
    assert apply_look(ab, MIDDLE, NATURAL) is ab
    assert Look() == NATURAL
    assert torch.equal(prediction.ab(), prediction._unsteered_ab(NATURAL.vividness, 0))


def test_warmth_1_is_the_shift_from_daylight_of_6500_k_to_5000_k_at_middle_lightness():
    shifted = apply_look(GREY, MIDDLE, Look(warmth=1))[0, :, 2, 2]
    # The white of D50 in Lab with the white of D65: CIE 15:2004, 8.2.1.
    x, z = (math.cbrt(d50 / d65) for d50, d65 in ((0.96422, 0.95047), (0.82521, 1.08883)))
    assert shifted.tolist() == pytest.approx([500 * (x - 1), 200 * (1 - z)], abs=0.1)
    assert shifted.tolist() == pytest.approx(WARM_SHIFT)


def test_black_and_white_stay_neutral_at_any_warmth():
    ends = torch.tensor([0.0, 100.0]).repeat_interleave(8).view(1, 1, 4, 4)
    assert not apply_look(GREY, ends, Look(warmth=1)).any()


def test_yellow_grows_with_warmth_and_chroma_with_saturation():
    lightness, ab = torch.rand(1, 1, 8, 8) * 100, torch.randn(1, 2, 8, 8) * 20
    yellow = [apply_look(ab, lightness, Look(warmth=w))[:, 1].mean() for w in (-1, -0.3, 0, 0.3, 1)]
    assert yellow == sorted(yellow)
    assert yellow[0] < yellow[-1] - 10
    chroma = [apply_look(ab, lightness, Look(saturation=s)).norm(dim=1) for s in (0, 0.5, 1, 2)]
    assert not chroma[0].any()
    assert torch.allclose(chroma[1] * 4, chroma[3])
    assert torch.equal(chroma[2], ab.norm(dim=1))


def test_a_look_goes_with_variants_and_a_network_s_own_lightness(prediction):
    for variant in (0, 3):
        plain, pale, warm = (prediction.ab(look, variant) for look in (NATURAL, PALE, WARM))
        assert torch.equal(pale, plain / 2)
        assert ((warm - plain)[:, 1] >= 0).all()


def test_a_hint_s_colour_is_the_same_in_every_look(prediction):
    hint, size = [(20, 30, (200, 40, 30))], (48, 64)
    at = (0, slice(None), 30 * 56 // 48, 20 * 72 // 64)
    found = [prediction.ab(look, 0, hint, size)[at] for look in (NATURAL, WARM, PALE)]
    assert (found[1] - found[0]).abs().max() < 1.5
    assert (found[2] - found[0]).abs().max() < 1.5


def test_a_look_changes_a_reference_s_colours(colourizer, prediction):
    reference = colourizer.study_reference(np.asarray(scene(6)))
    plain, pale = (prediction.ab(look, 0, (), (48, 64), reference) for look in (NATURAL, PALE))
    assert torch.equal(pale, plain / 2)


@pytest.mark.parametrize("name", LOOKS)
def test_every_look_keeps_the_lightness(name, checkpoint_file):
    colourizer = Colourizer.load(checkpoint_file, "cpu", look=name)
    grey = np.asarray(scene(5).convert("L"))
    coloured = colourizer.colourize(grey)
    assert (photo_lightness(coloured) - photo_lightness(grey)).abs().max() < 1.5


def test_looks_differ_from_each_other_and_none_is_broken(prediction):
    colours = {name: prediction.ab(look) for name, look in LOOKS.items()}
    names = list(colours)
    for n, name in enumerate(names):
        for other in names[:n]:
            assert (colours[name] - colours[other]).abs().mean() > 0.5, (name, other)
    assert all(look.vividness < 0.9 for look in LOOKS.values())


def test_settings_given_beside_a_look_come_first():
    chosen = choose_look("faded-print", vividness=0.9, saturation=0.0)
    assert (chosen.vividness, chosen.saturation) == (0.9, 0.0)
    assert chosen.warmth == LOOKS["faded-print"].warmth


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"name": "sepia"}, "natural, vivid"),
        ({"warmth": 1.1}, "between -1 and 1"),
        ({"warmth": float("nan")}, "between -1 and 1"),
        ({"saturation": -0.1}, "between 0 and 2"),
        ({"vividness": 2.0}, "between 0 and 1"),
    ],
)
def test_what_no_look_can_have_is_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        choose_look(**settings)
