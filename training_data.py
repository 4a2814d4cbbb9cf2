"""Training pairs: photographs in memory, cropped and mirrored at random."""

import hashlib
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler
from torchvision.transforms.v2 import functional as transform

from console import progress
from metrics import colourfulness
from photo import PhotoError, each_photo, find_photos, read_rgb, square

# Hasler and Suesstrunk call 15 "slightly colourful"; a photograph below teaches grey.
NEAR_GREY = 15.0
VALIDATION_SHARE, MOST_VALIDATION = 0.05, 200
VALIDATION_SIDE = 256  # pixels; fixed, so that figures of runs at other sizes can be compared
SMALLEST_CROP = 0.35  # of a photograph's area: the scale jitter
ROTATED = "_rotated"  # stands in the file names of data_transformer.py's rotated copies


@dataclass
class Gathered:
    """The photographs of a run.

    train: a list of (3, H, W) uint8.
    names: their files, in the same order.
    validation: (N, 3, VALIDATION_SIDE, VALIDATION_SIDE) uint8.
    rejected: how many files were left out, by reason.
    """

    train: list[Tensor]
    names: list[str]
    validation: Tensor
    rejected: Counter[str]


def is_held_out(path: Path) -> bool:
    """Decide by its name whether a photograph is for validation; its rotated copies go with it."""
    name = path.stem.split(ROTATED)[0]
    return hashlib.sha256(name.encode()).digest()[0] < round(VALIDATION_SHARE * 256)


def split(paths: list[Path]) -> tuple[list[Path], list[Path]]:
    """Split photographs into those to train on and those to validate on.

    The same file falls on the same side in every run, whatever else lies in the folder; of a
    folder too small for that, the last photograph is held out.
    """
    held_out = [p for p in paths if is_held_out(p) and ROTATED not in p.stem][:MOST_VALIDATION]
    if not held_out:
        held_out = [p for p in paths if ROTATED not in p.stem][-1:]
    names = {p.stem for p in held_out}
    return [p for p in paths if p.stem.split(ROTATED)[0] not in names], held_out


def gather(folders: list[Path], validation: Path | None, side: int) -> Gathered:
    """Read the photographs of a run into memory; near-grey and broken ones are left out.

    Args:
        folders: where to look for photographs to train on.
        validation: where to look for photographs to validate on; None holds some out.
        side: pixels to which the shortest side of larger photographs is reduced.
    """
    paths = [p for folder in folders for p in find_photos(folder)]
    if validation:
        train_paths, validation_paths = paths, find_photos(validation)
        step = max(1, len(validation_paths) // MOST_VALIDATION)  # spread over the folder
        validation_paths = validation_paths[::step][:MOST_VALIDATION]
    else:
        train_paths, validation_paths = split(paths)
    rejected: Counter[str] = Counter()
    squares = [
        transform.pil_to_tensor(square(image, VALIDATION_SIDE))
        for _, image in each_photo(validation_paths, read_rgb)
        if not isinstance(image, PhotoError)
    ]
    train, names = [], []
    read = each_photo(train_paths, lambda path: read_rgb(path, shortest_side=side))
    for path, image in progress(read, "reading", len(train_paths)):
        if isinstance(image, PhotoError):
            rejected["unreadable"] += 1
        elif min(image.size) < 32:
            rejected["smaller than 32 pixels"] += 1
        elif colourfulness((pixels := transform.pil_to_tensor(image)) / 255) < NEAR_GREY:
            rejected["near grey"] += 1
        else:
            train.append(pixels)
            names.append(str(path))
    stacked = (
        torch.stack(squares) if squares else torch.zeros(0, 3, VALIDATION_SIDE, VALIDATION_SIDE)
    )
    return Gathered(train, names, stacked.to(torch.uint8), rejected)


def random_crop(rgb: Tensor, size: int, seed: int) -> Tensor:
    """Cut a random part out of a photograph, resize it, and mirror every other one.

    Args:
        rgb: (3, H, W) uint8.
        size: side of the result in pixels.
        seed: decides everything, so that a resumed run sees what an unbroken one would have.

    Returns:
        rgb (3, size, size) uint8.
    """
    generator = torch.Generator().manual_seed(seed)
    area, aspect, top, left, mirror = torch.rand(5, generator=generator).tolist()
    height, width = rgb.shape[-2:]
    # Area between SMALLEST_CROP and 1 of the largest square, aspect between 3:4 and 4:3.
    side = min(height, width) * math.sqrt(SMALLEST_CROP ** (1 - area))
    stretch = (4 / 3) ** (aspect - 0.5)  # of one side against their geometric mean
    crop_h, crop_w = min(height, round(side * stretch)), min(width, round(side / stretch))
    top, left = round(top * (height - crop_h)), round(left * (width - crop_w))
    rgb = transform.resized_crop(rgb, top, left, crop_h, crop_w, [size, size], antialias=True)
    return rgb.flip(-1) if mirror < 0.5 else rgb


class Crops(Dataset[Tensor]):
    """Random crops of photographs; an index is (photograph, seed)."""

    def __init__(self, photos: list[Tensor], size: int) -> None:
        self.photos, self.size = photos, size

    def __getitem__(self, index: tuple[int, int]) -> Tensor:
        """Return rgb (3, size, size) uint8."""
        photo, seed = index
        return random_crop(self.photos[photo], self.size, seed)


class Batches(Sampler[list[tuple[int, int]]]):
    """The batches of one epoch: every photograph once, in an order that the seed decides."""

    def __init__(self, photos: int, batch_size: int, seed: int, epoch: int, first: int = 0) -> None:
        """Start at batch number `first`, to go on with an epoch that was stopped."""
        generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
        order = torch.randperm(photos, generator=generator).tolist()
        seeds = torch.randint(2**62, (photos,), generator=generator).tolist()
        samples = list(zip(order, seeds, strict=True))
        # A last batch of one photograph has no statistics for batch normalization: leave it out.
        starts = range(0, max(1, photos - 1), batch_size)
        self.batches = [samples[i : i + batch_size] for i in starts][first:]

    def __len__(self) -> int:
        """Count the batches that are left."""
        return len(self.batches)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """Give a list of indices for `Crops` per batch."""
        return iter(self.batches)
