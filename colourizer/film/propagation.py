"""A scene's decoder features, averaged over its frames along with the things that they show.

Each place keeps a recursive mean of its features. What it has of earlier frames is found in two
ways: where lightness has not changed, at the same place; elsewhere at places at stride 16 whose
features are alike, as in non-local means over time (Buades, Coll, Morel: IJCV 2008) and in memory
networks for video (Oh et al., ICCV 2019). Logits are linear in the features at stride 4, so that
the mean of features is that of the log-likelihoods of colours. Where the newest frames' own colours
have been others than the mean's for some time, as of a bud that opens, the mean counts less.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from colourizer.inference.coherence import halve, stride_8_vectors

# What follows was chosen on nine clips (docs/films.md).
MAX_FRAMES = 60.0  # that a mean counts at most, so that a scene can change slowly
MAX_MATCHED_FRAMES = 30.0  # that a mean taken from places that are alike counts at most
STILL = 2.5  # Lab units of changed lightness at which 1/e of a mean's frames still count
SHARPNESS = 24.0  # of the softmax over negative squared distances of features
ALIKE = 0.5  # squared distance of features at which 1/e of a mean's frames still count
NEWEST = 0.15  # weight of the newest frame in the mean difference of its colours
OTHER = 1.5  # Lab units of that difference at which a mean counts half of MAX_FRAMES
MOVED = 0.3  # share of its mean's frames that a place must drop for others to be searched


@dataclass(frozen=True)
class SceneFeatures:
    """Means over a scene's frames; their tensors are never changed in place.

    lightness: (1, 1, H, W) in [0, 100], of the frames that the means are of.
    coarse: (1, C, H/8, W/8), the decoder's features at stride 8.
    fine: (1, C', H/4, W/4), those at stride 4.
    frames: (1, 1, H/4, W/4), of how many frames each place's features are the mean; 1 or more.
    keys: (1, C + C', H/16, W/16), means of the `stride_8_vectors` of the last frame alone.
    difference: (1, 2, H/16, W/16) in Lab units, the mean over the newest frames of their own ab
        less that of the means.
    """

    lightness: Tensor
    coarse: Tensor
    fine: Tensor
    frames: Tensor
    keys: Tensor
    difference: Tensor


def begin_scene(lightness: Tensor, features: list[Tensor]) -> SceneFeatures:
    """Return the means over a single frame; arguments as for `add_frame`."""
    coarse, fine = features
    frames = torch.ones_like(fine[:, :1])
    keys = halve(stride_8_vectors(features))
    return SceneFeatures(
        lightness=lightness,
        coarse=coarse,
        fine=fine,
        frames=frames,
        keys=keys,
        difference=torch.zeros_like(keys[:, :2]),
    )


def add_frame(scene: SceneFeatures, lightness: Tensor, features: list[Tensor]) -> SceneFeatures:
    """Return the means with the next frame.

    Args:
        scene: the means so far.
        lightness: (1, 1, H, W) in [0, 100].
        features: the decoder's, (1, C, H/8, W/8) and (1, C', H/4, W/4).
    """
    coarse, fine = features
    vectors = stride_8_vectors(features)
    change = change_of_lightness(scene.lightness, lightness, fine.shape[-1])
    still = torch.exp(-(change / STILL).square()).to(fine)  # (1, 1, H/4, W/4)
    correction, matched = _match(scene, vectors, fine, 1 - still)
    matched = F.interpolate(matched, fine.shape[2:], mode="bilinear") * (1 - still)
    correction = F.interpolate(correction, fine.shape[2:], mode="bilinear")
    kept = scene.frames * still
    frames = kept + matched + 1
    # Only the means over 2x2 places are corrected: fine detail is the new frame's.
    new = fine + correction * (matched / (matched + 1))
    weight = 1 / frames  # of the new frame
    enlarged = F.interpolate(weight.to(lightness), lightness.shape[2:], mode="nearest")
    return SceneFeatures(
        lightness=scene.lightness + (lightness - scene.lightness) * enlarged,
        coarse=scene.coarse + (coarse - scene.coarse) * halve(weight),
        fine=new + (scene.fine - new) * (kept / frames),
        frames=frames.clamp_max(MAX_FRAMES),
        keys=halve(vectors),
        difference=scene.difference,
    )


def forget_changed(
    scene: SceneFeatures, fine: Tensor, ab_of: Callable[[Tensor], Tensor]
) -> SceneFeatures:
    """Let means count fewer frames where colours have changed for longer than by chance.

    Args:
        scene: from `add_frame`.
        fine: (1, C', H/4, W/4), the features of the newest frame alone.
        ab_of: returns the ab (B, 2, h, w) in Lab units of features (B, C', h, w).
    """
    pooled = [F.avg_pool2d(planes, 4) for planes in (fine, scene.fine)]
    alone, mean = ab_of(torch.cat(pooled)).split(1)
    difference = scene.difference + (alone - mean - scene.difference) * NEWEST
    most = MAX_FRAMES / (1 + (difference.norm(dim=1, keepdim=True) / OTHER) ** 4)
    most = F.interpolate(most.clamp_min(1), fine.shape[2:], mode="nearest")
    return replace(scene, frames=torch.minimum(scene.frames, most), difference=difference)


def change_of_lightness(before: Tensor, after: Tensor, columns: int) -> Tensor:
    """Return by how much lightness has changed in and around each cell.

    Args:
        before: (1, 1, H, W) in [0, 100].
        after: the same shape; a change of exposure, of all pixels alike, does not count.
        columns: of cells, so that each is W / columns pixels wide and high.

    Returns:
        change (1, 1, H * columns / W, columns) in Lab units, the largest in 3x3 cells of the means
        over 3x3 pixels.
    """
    difference = after - before
    difference = difference - difference[..., ::4, ::4].median()
    smooth = F.avg_pool2d(difference.abs(), 3, 1, 1)
    return F.max_pool2d(F.max_pool2d(smooth, after.shape[-1] // columns), 3, 1, 1)


def _match(
    scene: SceneFeatures, vectors: Tensor, fine: Tensor, moved: Tensor
) -> tuple[Tensor, Tensor]:
    """Find what places that have changed show in the last frame, by their features.

    Args:
        scene: the means so far.
        vectors: (1, D, h, w), `stride_8_vectors` of the new frame.
        fine: (1, C', 2h, 2w), its features.
        moved: (1, 1, 2h, 2w) in [0, 1], the share of its mean's frames that a place has dropped.

    Returns:
        correction (1, C', h, w), the means of what was found less those of the new frame; frames
        (1, 1, h, w), of how many those are the mean, fewer the less alike they are.
    """
    own = halve(fine)
    correction, frames = torch.zeros_like(own), torch.zeros_like(own[:, :1])
    asked = (F.max_pool2d(moved, 2).flatten() > MOVED).nonzero()[:, 0]
    if not len(asked):
        return correction, frames
    queries = vectors[0].flatten(1).T[asked]  # (Q, D)
    keys = scene.keys[0].flatten(1)  # (D, K)
    squares = queries.square().sum(dim=1, keepdim=True) + keys.square().sum(dim=0)
    distance = (squares - 2 * queries @ keys).clamp_min(0)  # (Q, K)
    weights = torch.softmax(-SHARPNESS * distance, dim=1)
    mean_distance = (weights * distance).sum(dim=1, keepdim=True)
    weights = weights * F.avg_pool2d(scene.frames, 4).flatten()
    counted = weights.sum(dim=1, keepdim=True)
    found = weights @ F.avg_pool2d(scene.fine, 4)[0].flatten(1).T / counted  # (Q, C')
    alike = torch.exp(-(mean_distance / ALIKE).square())
    correction.flatten(2)[0, :, asked] = found.T - own.flatten(2)[0, :, asked]
    frames.flatten(2)[0, :, asked] = (counted.clamp_max(MAX_MATCHED_FRAMES) * alike).T
    return correction, frames
