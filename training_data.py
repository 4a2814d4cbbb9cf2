"""Training pairs: photographs in memory, cropped and mirrored at random."""

import hashlib
import math
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, Sampler
from torchvision.transforms.v2 import functional as transform

from console import progress
from metrics import colourfulness
from photo import PhotoError, each_photo, find_photos, read_rgb, spread, square

# Hasler and Suesstrunk call 15 "slightly colourful"; a photograph below teaches grey.
NEAR_GREY = 15.0
VALIDATION_SHARE, MOST_VALIDATION = 0.05, 200
VALIDATION_SIDE = 256  # pixels; fixed, so that figures of runs at other sizes can be compared
SMALLEST_SIDE = 32  # pixels
SMALLEST_CROP = 0.35  # of a photograph's area: the scale jitter
# Every other crop is made soft, as scans and enlarged photographs are: reduced to between so much
# of its size and all of it, and enlarged again. The colours, at a quarter of the size, stay.
SOFTEST = 0.4
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
    names: list[Path]
    validation: Tensor
    rejected: Counter[str]

    def by_folder(self) -> dict[str, int]:
        """Count the photographs to train on by the name of the folder they lie in."""
        return dict(Counter(name.resolve().parent.name for name in self.names))

    def fingerprint(self) -> str:
        """Tell sets of photographs apart: a hash over their names, in order."""
        names = (os.fsencode(name.name) for name in self.names)
        return hashlib.sha256(b"/".join(names)).hexdigest()


def _chance(path: Path) -> float:
    """Draw a number in [0, 1) from a photograph's name; its rotated copies draw the same."""
    name = path.stem.split(ROTATED)[0]
    return hashlib.sha256(os.fsencode(name)).digest()[0] / 256


def split(paths: list[Path]) -> tuple[list[Path], list[Path]]:
    """Split photographs into those to train on and those to validate on.

    The name decides, so a file falls on the same side in every run; except that of a folder too
    small to hold out any that way the last photograph is held out, and of one so large that they
    would be more than MOST_VALIDATION those are spread over it.
    """
    upright = [path for path in paths if ROTATED not in path.stem]
    held_out = [path for path in upright if _chance(path) < VALIDATION_SHARE] or upright[-1:]
    held_out = spread(held_out, MOST_VALIDATION)
    names = {path.stem for path in held_out}
    return [path for path in paths if path.stem.split(ROTATED)[0] not in names], held_out


def gather(folders: list[Path], validation: Path | None, side: int) -> Gathered:
    """Read the photographs of a run into memory; near-grey and broken ones are left out.

    Args:
        folders: where to look for photographs to train on.
        validation: where to look for photographs to validate on; None holds some out.
        side: pixels to which the shortest side of larger photographs is reduced.
    """
    paths = [path for folder in folders for path in find_photos(folder)]
    if validation:
        validation_paths = find_photos(validation)
        taken = {path.resolve() for path in validation_paths}
        train_paths = [path for path in paths if path.resolve() not in taken]
        validation_paths = spread(validation_paths, MOST_VALIDATION)
    else:
        train_paths, validation_paths = split(paths)

    def read_square(path: Path) -> Image.Image:
        return square(read_rgb(path, shortest_side=VALIDATION_SIDE), VALIDATION_SIDE)

    rejected: Counter[str] = Counter()
    squares = []
    for _, image in each_photo(validation_paths, read_square):
        if isinstance(image, PhotoError):
            rejected["unreadable"] += 1
        else:
            squares.append(transform.pil_to_tensor(image))
    train, names = [], []
    read = each_photo(train_paths, lambda path: read_rgb(path, shortest_side=side))
    for path, image in progress(read, "reading", len(train_paths)):
        if isinstance(image, PhotoError):
            rejected["unreadable"] += 1
        elif min(image.size) < SMALLEST_SIDE:
            rejected[f"smaller than {SMALLEST_SIDE} pixels"] += 1
        elif colourfulness((pixels := transform.pil_to_tensor(image)) / 255) < NEAR_GREY:
            rejected["near grey"] += 1
        else:
            train.append(pixels)
            names.append(path)
    none = torch.zeros(0, 3, VALIDATION_SIDE, VALIDATION_SIDE, dtype=torch.uint8)
    return Gathered(train, names, torch.stack(squares) if squares else none, rejected)


def random_crop(rgb: Tensor, size: int, seed: int) -> Tensor:
    """Cut a random part out of a photograph, resize, soften and mirror it.

    Args:
        rgb: (3, H, W) uint8.
        size: side of the result in pixels.
        seed: decides everything, so that a resumed run sees what an unbroken one would have.

    Returns:
        rgb (3, size, size) uint8.
    """
    generator = torch.Generator().manual_seed(seed)
    area, aspect, top, left, mirror, soft = torch.rand(6, generator=generator).tolist()
    height, width = rgb.shape[-2:]
    # Area between SMALLEST_CROP and 1 of the largest square, aspect between 3:4 and 4:3.
    side = min(height, width) * math.sqrt(SMALLEST_CROP ** (1 - area))
    stretch = (4 / 3) ** (aspect - 0.5)  # of one side against their geometric mean
    crop_h, crop_w = min(height, round(side * stretch)), min(width, round(side / stretch))
    top, left = round(top * (height - crop_h)), round(left * (width - crop_w))
    rgb = transform.crop(rgb, top, left, crop_h, crop_w)
    if soft < 0.5:
        softened = round(size * (SOFTEST + (1 - SOFTEST) * 2 * soft))
        rgb = transform.resize(rgb, [softened, softened], antialias=True)
    rgb = transform.resize(rgb, [size, size], antialias=True)
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
