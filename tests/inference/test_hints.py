"""hints.py, and its use in colourizer.py: known colours are propagated."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from support.scenes import SAMPLES, scene

from colourizer.colour.space import rgb_to_lab
from colourizer.inference import prediction
from colourizer.inference.colourizer import Colourizer
from colourizer.inference.hints import (
    AB_LENGTH,
    REFERENCE_NOISE,
    RELATED,
    SAMPLE_STEP,
    WEAK_MATCH,
    Hint,
    feature_vectors,
    fit_reference,
    parse_hint,
    propagate_hints,
    propagate_reference,
)
from colourizer.inference.looks import Look
from colourizer.inference.preprocess import reduced_lightness
from colourizer.network.checkpoint import model_content, save_checkpoint
from colourizer.network.classic_cnn import ClassicCNN

RED, DULL_BLUE = (200, 40, 30), (110, 130, 170)  # of the second any lightness has some


def ab_of(colour: tuple[int, int, int]) -> np.ndarray:
    rgb = torch.tensor(colour, dtype=torch.float32)[:, None, None] / 255
    return rgb_to_lab(rgb)[1:, 0, 0].numpy()


def ab_at(rgb: np.ndarray, x: int, y: int) -> np.ndarray:
    around = rgb[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3].astype(np.float32) / 255
    return rgb_to_lab(torch.from_numpy(around).movedim(-1, 0))[1:].mean(dim=(1, 2)).numpy()


@pytest.fixture(scope="module")
def colourizer() -> Colourizer:
    return Colourizer.load(device="cpu")


@pytest.fixture(scope="module")
def halves() -> torch.Tensor:
    """What a decoder saw of a photograph whose left half is one thing, its right half another."""
    planes = torch.zeros(1, 4, 16, 16)
    planes[:, 0, :, :8], planes[:, 1, :, 8:] = 1, 1
    return feature_vectors([planes, planes], (16, 16))


@pytest.mark.parametrize("text", ["3,4,#ff8001", "3,4,FF8001", "0003,4,#Ff8001"])
def test_a_hint_is_read(text):
    assert parse_hint(text) == Hint(3, 4, (255, 128, 1))


@pytest.mark.parametrize(
    "text", ["", "3,4", "3,4,red", "-3,4,#ff8000", "3.5,4,#ff8000", "3,4,#ff80", "٣,4,#ff8000"]
)
def test_what_is_no_hint_is_named(text):
    with pytest.raises(ValueError, match="X,Y,#RRGGBB"):
        parse_hint(text)


def test_what_belongs_to_a_hint_follows_and_the_rest_hardly(halves):
    wanted = torch.tensor([40.0, -20.0])
    ab = propagate_hints(halves, torch.zeros(1, 2, 16, 16), [(0.1, 0.5, wanted)])
    assert (ab[0, :, 8, 1] - wanted).norm() < 2
    assert ab[0, 0, :, :7].min() > 16
    assert ab[0, 0, :, 9:].abs().max() < 3


def test_hints_agree_with_each_of_them(halves):
    one, other = torch.tensor([40.0, 0.0]), torch.tensor([0.0, 40.0])
    ab = propagate_hints(halves, torch.zeros(1, 2, 16, 16), [(0.05, 0.1, one), (0.4, 0.9, other)])
    assert (ab[0, :, 1, 0] - one).norm() < 5
    assert (ab[0, :, 14, 6] - other).norm() < 5


def test_the_same_hint_twice_is_one_hint(halves):
    hint = (0.1, 0.5, torch.tensor([40.0, -20.0]))
    once, twice = (propagate_hints(halves, torch.zeros(1, 2, 16, 16), [hint] * n) for n in (1, 2))
    assert (once - twice).abs().max() < 1


def test_a_reference_gives_its_colours_to_what_looks_alike(halves):
    true = torch.zeros(1, 2, 16, 16)
    true[:, 0, :, :8], true[:, 1, :, 8:] = 30, 30
    plain = torch.zeros(1, 2, 16, 16)
    mirrored, match = propagate_reference(halves.flip(1), plain, fit_reference(halves, plain, true))
    assert match > 0.9
    assert (mirrored - true.flip(-1))[..., 4:12].abs().mean() < 6
    unlike = feature_vectors([torch.eye(4)[2].view(1, 4, 1, 1).expand(1, 4, 16, 16)] * 2, (16, 16))
    left_alone, match = propagate_reference(unlike, plain, fit_reference(halves, plain, true))
    assert torch.equal(left_alone, plain)
    assert 0 <= match < 0.1


def test_a_reference_gives_the_posterior_of_a_gaussian_process():
    chance = torch.Generator().manual_seed(0)
    maps = [torch.rand(2, 1, 4, 16, 16, generator=chance) for _ in range(2)]
    own, other = (feature_vectors([each[n] for each in maps], (16, 16)) for n in range(2))
    ab, predicted, true = torch.randn(3, 1, 2, 16, 16, generator=chance) * 20
    found, match = propagate_reference(own, ab, fit_reference(other, predicted, true))
    small = F.avg_pool2d(other.float().movedim(-1, 0)[None], 2)[0].movedim(0, -1)
    change = F.avg_pool2d(true - predicted, 2)[0].flatten(1).T.double()
    known, asked = (
        torch.cat((each.float(), shown.movedim(0, -1) / AB_LENGTH), dim=-1).flatten(0, 1).double()
        for each, shown in ((small, F.avg_pool2d(predicted, 2)[0]), (own, ab[0]))
    )
    alike = (-torch.cdist(asked, known).square()).exp()
    covariance = (-torch.cdist(known, known).square()).exp() + REFERENCE_NOISE * torch.eye(64)
    wanted = (alike @ covariance.inverse() @ change).T.view(1, 2, 16, 16)
    less = (alike @ covariance.inverse() * alike).sum(dim=1)[::SAMPLE_STEP].mean()
    assert match == pytest.approx(less.item(), abs=1e-4)
    assert match > RELATED  # so that it counts as a whole
    torch.testing.assert_close(found - ab, wanted.float(), atol=2e-3, rtol=0)


def test_a_reference_is_fitted_once_for_all_photographs_of_a_look(colourizer, monkeypatch):
    fitted = []
    fit = prediction.fit_reference
    monkeypatch.setattr(prediction, "fit_reference", lambda *args: fitted.append(1) or fit(*args))
    reference = colourizer.study_reference(scene(0))
    for n in (1, 2):
        colourizer.colourize(scene(n).convert("L"), reference=reference)
    assert len(fitted) == 1
    (shown,) = colourizer.predict([torch.full((1, 64, 64), 50.0)], with_features=True)
    shown.ab(variant=1, reference=reference)
    shown.ab(Look(0.1), reference=reference)
    assert len(fitted) == 3


def test_half_of_a_photograph_that_looks_like_the_reference_is_half_a_match(halves):
    plain = torch.zeros(1, 2, 16, 16)
    other = halves.clone()
    other[:, 8:] = feature_vectors([torch.eye(4)[2].view(1, 4, 1, 1)] * 2, (1, 1))
    _, match = propagate_reference(other, plain, fit_reference(halves, plain, plain))
    assert 0.4 < match < 0.6


def test_a_hint_colours_its_place_and_every_pixel_keeps_its_lightness(colourizer):
    picture = Image.open(SAMPLES / "coffee.jpg")
    x, y = 150, 300  # the table: neither so dark nor so bright that there is no blue
    plain = colourizer.colourize(picture)
    hinted = colourizer.colourize(picture, hints=[(x, y, DULL_BLUE)])
    before, after = (np.linalg.norm(ab_at(rgb, x, y) - ab_of(DULL_BLUE)) for rgb in (plain, hinted))
    assert after < before / 2
    lightness = [rgb_to_lab(torch.from_numpy(p / 255.0).movedim(-1, 0))[0] for p in (plain, hinted)]
    assert (lightness[0] - lightness[1]).abs().mean() < 0.5


def test_true_colours_as_hints_bring_the_others_nearer_to_the_truth(colourizer):
    picture = Image.open(SAMPLES.with_name("samples_in_colour") / "raccoon.jpg").convert("RGB")
    picture = picture.resize((256, 192))
    true = np.asarray(picture)
    truth = rgb_to_lab(torch.from_numpy(true / 255.0).movedim(-1, 0))[1:]
    chance = np.random.default_rng(0)
    places = [(int(chance.integers(256)), int(chance.integers(192))) for _ in range(20)]
    errors = []
    for n in (0, 5, 20):
        hints = [(x, y, tuple(int(v) for v in true[y, x])) for x, y in places[:n]]
        rgb = colourizer.colourize(picture.convert("L"), hints=hints)
        ab = rgb_to_lab(torch.from_numpy(rgb / 255.0).movedim(-1, 0))[1:]
        errors.append((ab - truth).norm(dim=0).mean().item())
    assert errors[1] < 0.9 * errors[0]
    assert errors[2] < 0.8 * errors[0]


def test_a_mirror_image_in_colour_gives_its_colours(colourizer):
    picture = Image.open(SAMPLES.with_name("samples_in_colour") / "coffee.jpg").convert("RGB")
    mirrored = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    grey = picture.convert("L")
    plain = colourizer.colourize(grey)
    for reference in (mirrored, np.asarray(mirrored), colourizer.study_reference(mirrored)):
        rgb = colourizer.colourize(grey, reference=reference)
        errors = [np.abs(p.astype(int) - np.asarray(picture)).mean() for p in (plain, rgb)]
        assert errors[1] < 0.6 * errors[0]


def test_a_reference_that_hardly_matches_changes_little(colourizer):
    grey = Image.open(SAMPLES / "coffee.jpg").convert("L")
    in_colour = SAMPLES.with_name("samples_in_colour")
    own, other = (Image.open(in_colour / f"{name}.jpg") for name in ("coffee", "raccoon"))
    assert colourizer.match_reference(grey, own) > RELATED
    assert colourizer.match_reference(grey, other) < WEAK_MATCH
    plain, by_own, by_other = (
        colourizer.colourize(grey, reference=each).astype(int) for each in (None, own, other)
    )
    assert np.abs(by_other - plain).mean() < 0.15 * np.abs(by_own - plain).mean()


@pytest.mark.parametrize("place", [(64, 0), (0, 48), (-1, 0)])
def test_a_hint_outside_the_photograph_is_named(colourizer, place):
    with pytest.raises(ValueError, match="outside the photograph, which has 64x48 pixels"):
        colourizer.colourize(scene(1), hints=[(*place, RED)])


def test_a_grey_reference_is_refused(colourizer):
    for grey in (scene(1).convert("L"), scene(1).convert("L").convert("RGB")):
        with pytest.raises(ValueError, match="no colours"):
            colourizer.colourize(scene(2), reference=grey)


def test_the_original_project_s_network_can_be_steered_too(tmp_path):
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "classic.pt", model_content(ClassicCNN(), half=False))
    classic = Colourizer.load(tmp_path / "classic.pt", "cpu")
    plain = classic.colourize(scene(1))
    hinted = classic.colourize(scene(1), hints=[(10, 40, RED)])
    before, after = (np.linalg.norm(ab_at(rgb, 10, 40) - ab_of(RED)) for rgb in (plain, hinted))
    assert after < before / 2


# photograph: the hint's place and colour; places of the same thing; places of other things
FILLED = {
    "astronaut": (  # the suit; the backdrop, the shuttle, the face
        ((250, 300), (60, 80, 150)),
        [(60, 330), (330, 280), (120, 440), (200, 250)],
        [(220, 40), (460, 120), (225, 120), (500, 300)],
    ),
    "coffee": (  # saucer and cup; the table, the cup's rim, the coffee
        ((170, 300), (170, 60, 40)),
        [(450, 200), (300, 360), (110, 230), (410, 320)],
        [(50, 50), (550, 320), (260, 40), (290, 130)],
    ),
    "cat_chelsea": (  # the fur; the background
        ((240, 60), (200, 120, 60)),
        [(150, 200), (240, 160), (320, 60), (100, 180)],
        [(430, 130), (440, 40), (440, 200)],
    ),
}


@pytest.mark.parametrize("name", FILLED)
def test_a_hint_fills_the_thing_and_leaves_others_alone(colourizer, name):
    ((x, y), colour), inside, outside = FILLED[name]
    grey = np.asarray(Image.open(SAMPLES / f"{name}.jpg").convert("L"))
    height, width = grey.shape
    (prediction,) = colourizer.predict([reduced_lightness(grey)], with_features=True)
    hinted = prediction.ab(colourizer.look, 0, [Hint(x, y, colour)], (height, width))
    change = (hinted - prediction.ab(colourizer.look))[0]

    def share(place: tuple[int, int]) -> float:
        """Return how much of the hint's own change a place gets."""
        rows, columns = change.shape[1:]
        at = [change[:, v * rows // height, u * columns // width] for u, v in (place, (x, y))]
        return float(at[0] @ at[1] / (at[1] @ at[1]))

    filled, left = np.mean([share(p) for p in inside]), np.mean([share(p) for p in outside])
    assert filled > 0.3
    assert left < filled / 2.5
