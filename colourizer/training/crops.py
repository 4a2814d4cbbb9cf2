"""Random crops of photographs: resized, mirrored, and aged or blurred for the network's input.

Their side is train.py's --size or --final-size, their area at least --min-area (options.py).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from colourizer.colour.space import grey_to_lightness, rgb_to_lab, round_to_greys
from colourizer.training.ageing import BORDER_SHARE, age, paint_border

MAX_CROP_ASPECT = 4 / 3  # before it becomes square
# Half of the crops are blurred in the input, as scans and enlarged photographs are: downsampled to
# between this share of their size and all of it, and upsampled again.
MIN_BLUR_SCALE = 0.4


@dataclass(frozen=True)
class CropConfig:
    """What crops are asked for.

    size: side in pixels, after resizing.
    aged: share of the crops that look like old photographs, [0, 1].
    min_area: the least area, as a share of the photograph's largest square, (0, 1].
    paired: whether each crop is followed by its mirror image, in a second half of the batch; then
        only mirror images are aged.
    """

    size: int
    aged: float = 0.0
    min_area: float = 0.35
    paired: bool = False


class CropBatch(NamedTuple):
    """A batch of crops; `network_input_and_target` computes what the network needs of it.

    rgb: (B, 3, S, S) uint8, the truth, in channels_last memory.
    aged: (A, 1, S, S) uint8, grey: the input of those crops that look like old photographs.
    aged_index: (A,), their indices in the batch.
    blur_sides: (B,), pixels to which each crop's input is downsampled before it is upsampled
        again; S leaves it sharp.
    photo_index: the photographs that they are crops of, (B,); of pairs (B/2,).
    """

    rgb: Tensor
    aged: Tensor
    aged_index: Tensor
    blur_sides: Tensor
    photo_index: Tensor

    def to(self, device: torch.device) -> "CropBatch":
        """Return the batch with what is computed with on a device."""
        rgb, aged, aged_index = (
            t.to(device, non_blocking=True) for t in (self.rgb, self.aged, self.aged_index)
        )
        return self._replace(rgb=rgb, aged=aged, aged_index=aged_index)


@cache
def _resampling_matrix(size: int, side: int) -> Tensor:
    """Return the matrix (size, size) that downsamples `size` pixels to `side`, and upsamples them.

    Both steps are bilinear with antialiasing.
    """
    rows = torch.eye(size)[None, None]
    for height in (side, size):
        rows = F.interpolate(rows, (height, size), mode="bilinear", antialias=True)
    return rows[0, 0]


def network_input_and_target(batch: CropBatch) -> tuple[Tensor, Tensor]:
    """Return a batch as the network's input and the target.

    Args:
        batch: on the device to compute on.

    Returns:
        lightness (B, 1, S, S) in [0, 100], that of an 8-bit grey photograph, in channels_last
        memory; ab (B, 2, S, S) in Lab units.
    """
    lab = rgb_to_lab(batch.rgb.float() / 255)
    lightness, ab = lab[:, :1], lab[:, 1:]
    if len(batch.aged_index):
        aged = grey_to_lightness(batch.aged.float() / 255)
        lightness = lightness.index_copy(0, batch.aged_index, aged)
    size = batch.rgb.shape[-1]
    blurred = batch.blur_sides.ne(size).nonzero()[:, 0]
    if len(blurred):
        rows = [_resampling_matrix(size, side) for side in batch.blur_sides[blurred].tolist()]
        matrix = torch.stack(rows)[:, None].to(lab.device)  # (blurred, 1, S, S)
        blurred = blurred.to(lab.device)
        lightness = lightness.index_copy(0, blurred, matrix @ lightness[blurred] @ matrix.mT)
    # Rounded, since in prediction the network's input is 8-bit greys.
    return round_to_greys(lightness).contiguous(memory_format=torch.channels_last), ab


def cut_crop(rgb: Tensor, min_area: float, chances: Sequence[float], crop: Tensor) -> None:
    """Write a random resized crop of a photograph, mirrored or not, into `crop`.

    Args:
        rgb: (3, H, W) uint8.
        min_area: as for `CropConfig`.
        chances: five numbers in [0, 1): area, aspect ratio, top, left, mirroring.
        crop: (3, S, S) uint8, the output.
    """
    area, aspect, top, left, mirror = chances
    height, width = rgb.shape[-2:]
    # Area between min_area and 1 of the largest square, aspect between 3:4 and 4:3.
    side = min(height, width) * math.sqrt(min_area ** (1 - area))
    stretch = MAX_CROP_ASPECT ** (aspect - 0.5)  # of one side against their geometric mean
    crop_h, crop_w = min(height, round(side * stretch)), min(width, round(side / stretch))
    y, x = round(top * (height - crop_h)), round(left * (width - crop_w))
    part = rgb[:, y : y + crop_h, x : x + crop_w].movedim(0, -1)
    # NumPy copies faster, but mirrored it takes eight times as long.
    part = part.flip(1) if mirror < 0.5 else torch.from_numpy(np.array(part.numpy()))
    # With all strides of channels_last memory, the batch's too, resizing takes half as long.
    part = part.view(1, *part.shape).movedim(-1, 1)
    crop.copy_(F.interpolate(part, crop.shape[-2:], mode="bilinear", antialias=True)[0])


def _blur_side(size: int, sharpness: float) -> int:
    """Return the pixels to which a crop's input is downsampled; half of them stay sharp."""
    return round(size * min(1, MIN_BLUR_SCALE + (1 - MIN_BLUR_SCALE) * 2 * sharpness))


def make_batch(
    photos: Sequence[Tensor],
    photo_index: Sequence[int],
    config: CropConfig,
    seeds: Sequence[int],
) -> CropBatch:
    """Return a random crop of each photograph, some of them aged.

    Args:
        photos: each (3, H, W) uint8.
        photo_index: their indices in the training set.
        config: of the crops.
        seeds: one for each crop, which decides everything about it, so that a resumed run sees
            the same crops as an unbroken one.
    """
    size, aged, count = config.size, config.aged, len(photos)
    total = 2 * count if config.paired else count
    rgb = torch.empty(total, size, size, 3, dtype=torch.uint8).movedim(-1, 1)
    aged_index: list[int] = []
    blur_sides = [size] * total
    greys = [torch.empty(0, 1, size, size, dtype=torch.uint8)]
    for n, (photo, seed) in enumerate(zip(photos, seeds, strict=True)):
        generator = torch.Generator().manual_seed(seed)
        *chances, age_chance, sharpness = torch.rand(7, generator=generator).tolist()
        cut_crop(photo, config.min_area, chances, rgb[n])
        if age_chance < aged * BORDER_SHARE:
            paint_border(rgb[n], generator)
        blur_sides[n] = _blur_side(size, sharpness)
        last = n
        if config.paired:
            last = count + n
            rgb[last] = rgb[n].flip(-1)
            blur_sides[last] = _blur_side(size, torch.rand((), generator=generator).item())
        if age_chance < aged:
            aged_index.append(last)
            greys.append(age(rgb[last], generator)[None])
    return CropBatch(
        rgb,
        torch.cat(greys),
        torch.tensor(aged_index, dtype=torch.int64),
        torch.tensor(blur_sides),
        torch.tensor(photo_index),
    )
