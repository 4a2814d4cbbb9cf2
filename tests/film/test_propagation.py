"""propagation.py: means over frames stay with the things that they are of."""

import torch

from colourizer.film.propagation import add_frame, begin_scene, forget_changed

SIZE = 64  # pixels; features have 8x8 and 16x16 places


def frame(left: int, opinion: float) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """A white thing, 4x4 places at stride 4, on black: its lightness and features.

    The last channel is a small opinion of what colour the thing has.
    """
    fine = torch.zeros(1, 3, SIZE // 4, SIZE // 4)
    fine[:, 1] = 1
    fine[..., 4:8, left : left + 4] = torch.tensor([1, 0, opinion])[:, None, None]
    lightness = 90 * torch.nn.functional.interpolate(fine[:, :1], scale_factor=4)
    return lightness, [torch.nn.functional.avg_pool2d(fine, 2), fine]


def test_a_still_thing_gets_the_mean_of_all_frames():
    scene = begin_scene(*frame(4, 0.2))
    for opinion in (0.1, 0.0, 0.1):
        scene = add_frame(scene, *frame(4, opinion))
    assert torch.allclose(scene.fine[0, 2, 4:8, 4:8], torch.tensor(0.1), atol=1e-3)
    assert torch.allclose(scene.frames, torch.tensor(4.0))


def test_a_moving_thing_takes_its_mean_along_and_leaves_nothing_behind():
    scene = begin_scene(*frame(4, 0.1))
    scene = add_frame(scene, *frame(8, 0.0))
    assert torch.allclose(scene.fine[0, 2, 5:7, 9:11], torch.tensor(0.05), atol=0.01)
    assert scene.fine[0, 2, :, :7].abs().max() < 0.01


def test_a_new_thing_gets_nothing_of_others():
    lightness, features = frame(2, 0.3)
    empty = [torch.zeros_like(each).index_fill(1, torch.tensor(1), 1.0) for each in features]
    scene = begin_scene(torch.zeros_like(lightness), empty)
    scene = add_frame(scene, lightness, features)
    assert torch.allclose(scene.fine[0, 2, 5:7, 3:5], torch.tensor(0.3), atol=0.02)
    assert scene.frames[0, 0, 5, 4] < 1.2


def test_grain_and_exposure_do_not_hide_that_a_thing_is_still():
    torch.manual_seed(0)
    lightness, features = frame(4, 0.2)
    scene = begin_scene(lightness, features)
    for exposure in (5.0, -5.0, 0.0):
        grained = lightness + exposure + torch.randn_like(lightness)
        scene = add_frame(scene, grained, features)
    assert scene.frames.mean() > 2


def ab_of(fine: torch.Tensor) -> torch.Tensor:
    """The colours of features: an opinion of 1 is 50 Lab units of both a and b."""
    return 50 * fine[:, 2:].expand(-1, 2, -1, -1)


def show(opinions: list[float]) -> float:
    """Return what a scene makes of the still thing's opinion after frames with these."""
    scene = begin_scene(*frame(4, opinions[0]))
    for opinion in opinions[1:]:
        lightness, features = frame(4, opinion)
        scene = forget_changed(add_frame(scene, lightness, features), features[-1], ab_of)
    return scene.fine[0, 2, 4:8, 4:8].mean().item()


def test_a_change_that_lasts_is_followed_sooner_than_the_mean_would():
    assert show([0.0] * 40 + [0.5] * 20) > 0.45  # the mean is 0.17


def test_what_changes_to_and_fro_keeps_the_mean_of_all_frames():
    assert abs(show([0.0, 0.1] * 30) - 0.05) < 0.005
    assert show([0.0] * 40 + [0.5]) < 0.03


def test_a_mean_never_counts_so_many_frames_that_nothing_could_change_it():
    scene = begin_scene(*frame(4, 1.0))
    for _ in range(150):
        scene = add_frame(scene, *frame(4, 1.0))
    for _ in range(60):
        scene = add_frame(scene, *frame(4, 0.0))
    assert scene.fine[0, 2, 5, 5] < 0.5
