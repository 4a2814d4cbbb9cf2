"""Training pairs: photographs in memory, cropped, mirrored and aged at random."""

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

from ab_bins import soft_bins
from ageing import age
from colour_space import lightness_to_grey, rgb_to_lab
from console import progress
from duplicates import difference_hash, find_copies
from made_copies import find_originals, is_copy, original_of
from metrics import colourfulness
from photo import PhotoError, each_photo, find_photos, read_rgb, spread, square

# Hasler and Suesstrunk call 15 "slightly colourful"; a photograph below teaches grey.
NEAR_GREY = 15.0
# One in twenty is held out; of fewer than 400 photographs more, to have LEAST_VALIDATION of them to
# measure with, but never more than one in five.
VALIDATION_SHARE, LEAST_VALIDATION, MOST_VALIDATION = 0.05, 20, 200
VALIDATION_SIDE = 256  # pixels; fixed, so that figures of runs at other sizes can be compared
SMALLEST_SIDE = 32  # pixels
SMALLEST_CROP = 0.35  # of a photograph's area: the scale jitter
# Every other crop looks soft to the network, as scans and enlarged photographs are: reduced to
# between so much of its size and all of it, and enlarged again.
SOFTEST = 0.4
SHARE_PHOTOS, SHARE_STEP = 2000, 10  # photographs, pixels: what `bin_shares` looks at


@dataclass
class Gathered:
    """The photographs of a run.

    train: a list of (3, H, W) uint8.
    names: their files, in the same order.
    validation: (N, 3, VALIDATION_SIDE, VALIDATION_SIDE) uint8.
    held_out: the files of those.
    rejected: how many files were left out, by reason.
    """

    train: list[Tensor]
    names: list[Path]
    validation: Tensor
    held_out: list[Path]
    rejected: Counter[str]

    def by_folder(self) -> dict[str, int]:
        """Count the photographs to train on by the name of the folder they lie in."""
        return dict(Counter(name.resolve().parent.name for name in self.names))

    def fingerprint(self) -> str:
        """Tell sets of photographs apart: a hash over their names, in order."""
        names = (os.fsencode(name.name) for name in [*self.names, *self.held_out])
        return hashlib.sha256(b"/".join(names)).hexdigest()


def _chance(path: Path) -> float:
    """Draw a number in [0, 1) from a photograph's name; copies made of it draw the same."""
    _, name = original_of(path)
    return hashlib.sha256(os.fsencode(name)).digest()[0] / 256


def split(paths: list[Path]) -> tuple[list[Path], list[Path]]:
    """Split photographs into those to train on and those to validate on.

    The name decides, so a file falls on the same side in every run on a folder that has not grown
    much; except that of one too small to hold out any that way the last photograph is held out, and
    of one so large that they would be more than MOST_VALIDATION those are spread over it.
    """
    originals = find_originals(paths)
    share = max(VALIDATION_SHARE, min(0.2, LEAST_VALIDATION / max(len(originals), 1)))
    held_out = [path for path in originals if _chance(path) < share] or originals[-1:]
    held_out = spread(held_out, MOST_VALIDATION)
    taken = {original_of(path) for path in held_out}
    return [path for path in paths if original_of(path) not in taken], held_out


def gather(folders: list[Path], validation: Path | None, side: int) -> Gathered:
    """Read the photographs of a run into memory; near-grey, broken and double ones are left out.

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
        names = {original_of(path) for path in validation_paths}
        train_paths = [p for p in train_paths if not (is_copy(p) and original_of(p) in names)]
    else:
        train_paths, validation_paths = split(paths)

    rejected: Counter[str] = Counter()

    def usable(
        paths: list[Path], side: int, grey_too: bool
    ) -> Iterator[tuple[Path, Image.Image, Tensor]]:
        """Read photographs with their hashes; leave out, and count, those that are of no use."""

        def read(path: Path) -> tuple[Image.Image, Tensor]:
            image = read_rgb(path, shortest_side=side)
            return image, difference_hash(image)

        for path, result in progress(each_photo(paths, read), "reading", len(paths)):
            if isinstance(result, PhotoError):
                rejected["unreadable"] += 1
                continue
            image, places = result
            if min(image.size) < SMALLEST_SIDE:
                rejected[f"smaller than {SMALLEST_SIDE} pixels"] += 1
            elif not grey_too and colourfulness(transform.pil_to_tensor(image) / 255) < NEAR_GREY:
                rejected["near grey"] += 1
            else:
                yield path, image, places

    # Who names a folder to validate on gets the near-grey ones of it too. All of it is looked at,
    # even if only some is used: none of it may be trained on.
    shown = set(spread(validation_paths, MOST_VALIDATION))
    held_out, squares, hashes = [], [], []
    for path, image, places in usable(validation_paths, VALIDATION_SIDE, validation is not None):
        hashes.append(places)
        if path in shown:
            held_out.append(path)
            squares.append(transform.pil_to_tensor(square(image, VALIDATION_SIDE)))
    known = len(hashes)
    originals = set(find_originals(train_paths))
    compared, kept = [], []
    for path, image, places in usable(train_paths, side, grey_too=False):
        if path in originals:
            hashes.append(places)
            compared.append(path)
        kept.append((path, transform.pil_to_tensor(image)))
    # A copy of a photograph that is validated on would be learnt by heart. A rotated or scaled copy
    # is meant to be one; it goes with the photograph that it was made from.
    copies = {original_of(compared[i - known]) for i in find_copies(hashes) if i >= known}
    trained_on = [photo for photo in kept if original_of(photo[0]) not in copies]
    rejected["copies of others"] += len(kept) - len(trained_on)
    left = find_originals([path for path, _ in trained_on])
    if not squares and validation is None and len(left) > 2:  # all held out were of no use
        held_out.append(left[-1])
        image = transform.to_pil_image(dict(trained_on)[left[-1]])
        squares.append(transform.pil_to_tensor(square(image, VALIDATION_SIDE)))
        taken_out = original_of(left[-1])
        trained_on = [photo for photo in trained_on if original_of(photo[0]) != taken_out]
    none = torch.zeros(0, 3, VALIDATION_SIDE, VALIDATION_SIDE, dtype=torch.uint8)
    return Gathered(
        [pixels for _, pixels in trained_on],
        [path for path, _ in trained_on],
        torch.stack(squares) if squares else none,
        held_out,
        +rejected,
    )


def random_crop(rgb: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Cut a random part out of a photograph, resize and mirror it.

    Args:
        rgb: (3, H, W) uint8.
        size: side of the result in pixels.
        generator: decides everything.

    Returns:
        rgb (3, size, size) uint8.
    """
    area, aspect, top, left, mirror = torch.rand(5, generator=generator).tolist()
    height, width = rgb.shape[-2:]
    # Area between SMALLEST_CROP and 1 of the largest square, aspect between 3:4 and 4:3.
    side = min(height, width) * math.sqrt(SMALLEST_CROP ** (1 - area))
    stretch = (4 / 3) ** (aspect - 0.5)  # of one side against their geometric mean
    crop_h, crop_w = min(height, round(side * stretch)), min(width, round(side / stretch))
    top, left = round(top * (height - crop_h)), round(left * (width - crop_w))
    rgb = transform.crop(rgb, top, left, crop_h, crop_w)
    rgb = transform.resize(rgb, [size, size], antialias=True)
    return rgb.flip(-1) if mirror < 0.5 else rgb


def soften(grey: Tensor, generator: torch.Generator) -> Tensor:
    """Reduce and enlarge again, by chance; grey: (1, S, S) uint8. Returns the same shape."""
    size = grey.shape[-1]
    chance = torch.rand((), generator=generator).item()
    if chance >= 0.5:
        return grey
    softened = round(size * (SOFTEST + (1 - SOFTEST) * 2 * chance))
    grey = transform.resize(grey, [softened, softened], antialias=True)
    return transform.resize(grey, [size, size], antialias=True)


class Crops(Dataset[tuple[Tensor, Tensor]]):
    """Random crops of photographs; an index is (photograph, seed)."""

    def __init__(self, photos: list[Tensor], size: int, aged: float) -> None:
        """Take photographs, the side of the crops, and the share of them that looks old."""
        self.photos, self.size, self.aged = photos, size, aged

    def __getitem__(self, index: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Cut one crop; its seed decides it, so a resumed run sees what an unbroken one would have.

        Returns:
            grey (1, size, size) uint8, what the network sees; rgb (3, size, size) uint8, the truth.
        """
        photo, seed = index
        generator = torch.Generator().manual_seed(seed)
        rgb = random_crop(self.photos[photo], self.size, generator)
        if torch.rand((), generator=generator).item() < self.aged:
            grey = age(rgb, generator)
        else:
            lightness = rgb_to_lab(rgb.float() / 255)[:1]
            grey = (lightness_to_grey(lightness) * 255).round().byte()
        return soften(grey, generator), rgb


def bin_shares(photos: list[Tensor], centres: Tensor) -> Tensor:
    """Measure how common each bin's colours are, in a sample of the photographs' pixels.

    Args:
        photos: each (3, H, W) uint8.
        centres: (K, 2), the bins' ab in Lab units.

    Returns:
        shares (K,); they sum to 1.
    """
    shares = torch.zeros(len(centres))
    sample = spread(photos, SHARE_PHOTOS)
    for rgb in sample:
        ab = rgb_to_lab(rgb[:, ::SHARE_STEP, ::SHARE_STEP] / 255)[1:]  # (2, h, w)
        shares += soft_bins(ab.flatten(1).T, centres).mean(dim=0) / len(sample)
    return shares


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
