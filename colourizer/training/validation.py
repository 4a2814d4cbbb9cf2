"""Validation: errors and pictures of a network on the photographs that are held out."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from colourizer.colour.metrics import ab_error, colourfulness, psnr
from colourizer.colour.space import fit_to_gamut, lightness_to_grey, rgb_to_lab, round_to_greys
from colourizer.network.checkpoint import Network
from colourizer.network.device import autocast
from colourizer.photos.files import evenly_spaced
from colourizer.training.criterion import training_loss
from colourizer.training.losses import cross_entropy, pool_ab
from Model_CNN import Model_CNN

BATCH_SIZE = 10  # photographs
PICTURES = 6  # photographs of which pictures are kept
PICTURE_SIDE = 128  # pixels
MIN_SHARE = 1e-6  # of a bin, so that no colour has a likelihood of 0


@dataclass
class Validation:
    """The result of a validation.

    figures: means over the photographs; names that begin with grey_ are of the grey input itself.
    grey, predicted, true: pictures of some photographs, (P, 3, PICTURE_SIDE, PICTURE_SIDE) uint8.
    """

    figures: dict[str, float]
    grey: Tensor
    predicted: Tensor
    true: Tensor


def _thumbnail(rgb: Tensor) -> Tensor:
    """Return rgb (3, H, W) in [0, 1] as (3, PICTURE_SIDE, PICTURE_SIDE) uint8, on the CPU."""
    size = (PICTURE_SIDE, PICTURE_SIDE)
    small = F.interpolate(rgb[None], size, mode="bilinear", antialias=True)[0]
    return (small.clamp(0, 1) * 255).round().byte().cpu()


def _cross_entropies(model: Model_CNN, logits: Tensor, ab: Tensor) -> dict[str, float]:
    """Return the cross-entropy of a network's likelihoods and of the bins' shares alone, in nats.

    Args:
        model: the network.
        logits: (B, K, H/4, W/4), its output.
        ab: (B, 2, H, W) in Lab units, the truth.
    """
    ab = pool_ab(ab, logits).movedim(1, -1)  # (B, H/4, W/4, 2)
    log_probability = torch.log_softmax(logits.float(), dim=1).movedim(1, -1)  # (B, H/4, W/4, K)
    shares = model.bin_shares.clamp_min(MIN_SHARE).log()
    return {
        "cross_entropy": cross_entropy(log_probability, ab, model.bin_centres).item(),
        "cross_entropy_of_shares": cross_entropy(shares, ab, model.bin_centres).item(),
    }


def likelihoods_beat_shares(figures: dict[str, float]) -> bool:
    """Return whether the likelihoods fit the truth better than the bins' shares do.

    Those of a network that is trained with the loss "l1" need not, since only the mean of its bins
    is trained; of one that started from a checkpoint they still may.

    Args:
        figures: of a `Validation`; without cross-entropies, of a ClassicCNN, it is False.
    """
    return figures.get("cross_entropy", 0.0) < figures.get("cross_entropy_of_shares", 0.0)


@torch.inference_mode()
def validate(
    model: Network,
    photos: Tensor,
    device: torch.device,
    loss_name: str,
    stopped: Callable[[], object],
) -> Validation | None:
    """Colourize photographs and compare them with the truth; return None if stopped.

    Args:
        model: in eval mode.
        photos: (N, 3, H, W) uint8.
        device: what to compute on.
        loss_name: as for `training_loss`.
        stopped: is called before each batch; a true value stops.
    """
    totals: dict[str, float] = {}
    pictures = []
    shown = set(evenly_spaced(range(len(photos)), PICTURES))
    for first, batch in zip(
        range(0, len(photos), BATCH_SIZE), photos.split(BATCH_SIZE), strict=True
    ):
        if stopped():
            return None
        pixels = batch.to(device)
        rgb = pixels.float() / 255
        lab = rgb_to_lab(rgb)
        lightness, ab = round_to_greys(lab[:, :1]), lab[:, 1:]
        lightness = lightness.contiguous(memory_format=torch.channels_last)
        with autocast(device):
            output = model(lightness)
        figures = {"validation_loss": training_loss(model, output, pixels, ab, loss_name).item()}
        if isinstance(model, Model_CNN):
            figures |= _cross_entropies(model, output, ab)
        for name, value in figures.items():
            totals[name] = totals.get(name, 0.0) + value * len(batch)
        predicted_ab = F.interpolate(model.ab_of(output), ab.shape[-2:], mode="bicubic")
        predicted = fit_to_gamut(lightness, predicted_ab)
        grey = lightness_to_grey(lightness).expand_as(predicted)
        for i, true in enumerate(rgb):
            figures = {
                "ab_error": ab_error(predicted_ab[i], ab[i]),
                "grey_ab_error": ab_error(torch.zeros_like(ab[i]), ab[i]),
                "rgb_psnr": psnr(predicted[i], true, 1),
                "grey_rgb_psnr": psnr(grey[i], true, 1),
                "colourfulness": colourfulness(predicted[i]),
                "true_colourfulness": colourfulness(true),
            }
            for name, value in figures.items():
                totals[name] = totals.get(name, 0.0) + value
            if first + i in shown:
                pictures.append([_thumbnail(image) for image in (grey[i], predicted[i], true)])
    means = {name: total / len(photos) for name, total in totals.items()}
    true_colourfulness = max(means["true_colourfulness"], 1e-6)
    means["colourfulness_ratio"] = means["colourfulness"] / true_colourfulness
    figures = {name: round(value, 4) for name, value in means.items()}
    return Validation(figures, *(torch.stack(kind) for kind in zip(*pictures, strict=True)))
