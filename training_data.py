"""Training pairs: which photographs, and crops of them, mirrored and aged at random."""

import hashlib
import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from ab_bins import soft_bins
from ageing import age
from colour_space import rgb_to_lab
from console import print_note, progress
from duplicates import find_copies
from photo import PhotoError, find_photos, spread, square
from photo_cache import Decoded, PhotoCache, Photos
from recombine import to_grey
from rejected_list import REJECTED_LIST, read_rejected
from screening import objection

# One in twenty is held out; of fewer than 400 photographs more, to have LEAST_VALIDATION of them to
# measure with, but never more than one in five.
VALIDATION_SHARE, LEAST_VALIDATION, MOST_VALIDATION = 0.05, 20, 200
VALIDATION_SIDE = 256  # pixels; fixed, so that figures of runs at other sizes can be compared
SMALLEST_SIDE = 32  # pixels
MOST_NAMED = 5  # of the photographs that cannot be read
SMALLEST_CROP = 0.35  # of a photograph's area: the scale jitter
# Every other crop looks soft to the network, as scans and enlarged photographs are: reduced to
# between so much of its size and all of it, and enlarged again.
SOFTEST = 0.4
SHARE_PHOTOS, SHARE_STEP = 2000, 10  # photographs, pixels: what `bin_shares` looks at
ROTATED = "_rotated"  # stands in the file names of data_transformer.py's rotated copies


@dataclass
class Gathered:
    """The photographs of a run.

    train: each (3, H, W) uint8.
    names: their files, in the same order.
    validation: (N, 3, VALIDATION_SIDE, VALIDATION_SIDE) uint8.
    held_out: the files of those.
    rejected: how many files were left out, by reason.
    reused: how many photographs an earlier run had decoded.
    """

    train: Photos
    names: list[Path]
    validation: Tensor
    held_out: list[Path]
    rejected: Counter[str]
    reused: int

    def by_folder(self) -> dict[str, int]:
        """Count the photographs to train on by the name of the folder they lie in."""
        return dict(Counter(name.resolve().parent.name for name in self.names))

    def fingerprint(self) -> str:
        """Tell sets of photographs apart: a hash over their names, in order."""
        names = (os.fsencode(name.name) for name in [*self.names, *self.held_out])
        return hashlib.sha256(b"/".join(names)).hexdigest()


def _upright(path: Path) -> tuple[str, str]:
    """Name a photograph by folder and stem, its rotated copies alike.

    data_transformer.py puts those into resized_rotated/QUERY, beside resized/QUERY.
    """
    return path.parent.name.removesuffix(ROTATED), path.stem.split(ROTATED)[0]


def _chance(path: Path) -> float:
    """Draw a number in [0, 1) from a photograph's name; its rotated copies draw the same."""
    _, name = _upright(path)
    return hashlib.sha256(os.fsencode(name)).digest()[0] / 256


def split(paths: list[Path]) -> tuple[list[Path], list[Path]]:
    """Split photographs into those to train on and those to validate on.

    The name decides, so a file falls on the same side in every run on a folder that has not grown
    much; except that of one too small to hold out any that way the last photograph is held out, and
    of one so large that they would be more than MOST_VALIDATION those are spread over it.
    """
    upright = [path for path in paths if ROTATED not in path.stem]
    share = max(VALIDATION_SHARE, min(0.2, LEAST_VALIDATION / max(len(upright), 1)))
    held_out = [path for path in upright if _chance(path) < share] or upright[-1:]
    held_out = spread(held_out, MOST_VALIDATION)
    taken = {_upright(path) for path in held_out}
    return [path for path in paths if _upright(path) not in taken], held_out


def gather(
    folders: list[Path], validation: Path | None, side: int, cache: Path | None = None
) -> Gathered:
    """Read the photographs of a run; near-grey, broken and double ones are left out.

    Args:
        folders: where to look for photographs to train on.
        validation: where to look for photographs to validate on; None holds some out.
        side: pixels to which the shortest side of larger photographs is reduced.
        cache: a folder that keeps decoded photographs; None keeps them in memory.
    """
    given = [*folders, *([validation] if validation else [])]
    unwanted = {path.resolve() for folder in given for path in read_rejected(folder)}
    paths = [path for folder in folders for path in find_photos(folder)]
    validation_paths = find_photos(validation) if validation else []
    here = {path: path.resolve() for path in [*paths, *validation_paths]}
    rejected = Counter({f"in {REJECTED_LIST}": len(unwanted & set(here.values()))})
    paths = [path for path in paths if here[path] not in unwanted]
    if validation:
        taken = {here[path] for path in validation_paths}
        train_paths = [path for path in paths if here[path] not in taken]
        validation_paths = [path for path in validation_paths if here[path] not in unwanted]
    else:
        train_paths, validation_paths = split(paths)

    unreadable: list[tuple[Path, PhotoError]] = []

    def usable(
        paths: list[Path], cache: PhotoCache, grey_too: bool
    ) -> Iterator[tuple[Path, Decoded]]:
        """Read photographs; leave out, and count, those that are of no use."""
        for path, photo in progress(cache.read_all(paths), "reading", len(paths)):
            if isinstance(photo, PhotoError):
                unreadable.append((path, photo))
            elif min(cache.files.look_up(photo.pixels).shape[1:]) < SMALLEST_SIDE:
                rejected[f"smaller than {SMALLEST_SIDE} pixels"] += 1
            elif not grey_too and (why := objection(photo.look)):
                rejected[why] += 1
            else:
                yield path, photo

    # Who names a folder to validate on gets the near-grey ones of it too. All of it is looked at,
    # even if only some is used: none of it may be trained on.
    shown = set(spread(validation_paths, MOST_VALIDATION))
    held_out, squares, hashes = [], [], []

    def hold_out(path: Path, rgb: Tensor) -> None:
        held_out.append(path)
        image = square(Image.fromarray(rgb.movedim(0, -1).numpy()), VALIDATION_SIDE)
        squares.append(torch.from_numpy(np.array(image)).movedim(-1, 0))

    to_validate = PhotoCache(cache, VALIDATION_SIDE)
    for path, photo in usable(validation_paths, to_validate, validation is not None):
        hashes.append(photo.places)
        if path in shown:
            hold_out(path, to_validate.files.look_up(photo.pixels))
    known = len(hashes)
    kept = []
    to_train = PhotoCache(cache, side)
    for path, photo in usable(train_paths, to_train, grey_too=False):
        hashes.append(photo.places)
        kept.append((path, photo))
    rejected["unreadable"] = len(unreadable)
    print_note(*(f"note: {path}: {error}" for path, error in unreadable[:MOST_NAMED]))
    if len(unreadable) > MOST_NAMED:
        print_note(f"note: and {len(unreadable) - MOST_NAMED} more that cannot be read")
    # A copy of a photograph that is validated on would be learnt by heart. A rotated copy is meant
    # to be one; it goes with the photograph that it was made from.
    found = [kept[i - known][0] for i in find_copies(hashes) if i >= known]
    copies = {_upright(path) for path in found if ROTATED not in path.stem}
    trained_on = [photo for photo in kept if _upright(photo[0]) not in copies]
    rejected["copies of others"] += len(kept) - len(trained_on)
    if not squares and validation is None and len(trained_on) > 2:  # all held out were of no use
        path, photo = trained_on.pop()
        hold_out(path, to_train.files.look_up(photo.pixels))
    none = torch.zeros(0, 3, VALIDATION_SIDE, VALIDATION_SIDE, dtype=torch.uint8)
    return Gathered(
        Photos([photo.pixels for _, photo in trained_on], to_train.files),
        [path for path, _ in trained_on],
        torch.stack(squares) if squares else none,
        held_out,
        +rejected,
        to_validate.reused + to_train.reused,
    )


def _resize(planes: Tensor, height: int, width: int) -> Tensor:
    """Resize (C, H, W) uint8, bilinearly, without aliasing; gives it in channels_last memory."""
    # So torch takes half of the time.
    planes = planes[None].contiguous(memory_format=torch.channels_last)
    return F.interpolate(planes, (height, width), mode="bilinear", antialias=True)[0]


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
    rgb = _resize(rgb[:, top : top + crop_h, left : left + crop_w], size, size)
    return rgb.flip(-1) if mirror < 0.5 else rgb


def soften(grey: Tensor, generator: torch.Generator) -> Tensor:
    """Reduce and enlarge again, by chance; grey: (1, S, S) uint8. Returns the same shape."""
    size = grey.shape[-1]
    chance = torch.rand((), generator=generator).item()
    if chance >= 0.5:
        return grey
    softened = round(size * (SOFTEST + (1 - SOFTEST) * 2 * chance))
    # Twice the columns, the picture being turned over its diagonal between. Four neighbours are
    # resized as the channels of one pixel, which takes hardly longer than one of them.
    four = math.gcd(size, 4)
    for _ in range(2):
        packed = grey.view(size, size // four, four).movedim(-1, 0)
        packed = _resize(_resize(packed, softened, size // four), size, size // four)
        grey = packed.movedim(0, -1).reshape(1, size, size).transpose(1, 2).contiguous()
    return grey


class Crops(Dataset[tuple[Tensor, Tensor]]):
    """Random crops of photographs; an index is (photograph, seed)."""

    def __init__(self, photos: Sequence[Tensor], size: int, aged: float) -> None:
        """Take photographs, the side of the crops, and the share of them that looks old."""
        self.photos, self.size, self.aged = photos, size, aged

    def __getitem__(self, index: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Cut one crop; its seed decides it, so a resumed run sees what an unbroken one would have.

        Returns:
            grey (1, size, size) uint8, what the network sees; rgb (3, size, size) uint8, the truth,
            in channels_last memory.
        """
        photo, seed = index
        generator = torch.Generator().manual_seed(seed)
        rgb = random_crop(self.photos[photo], self.size, generator)
        if torch.rand((), generator=generator).item() < self.aged:
            grey = age(rgb, generator)
        else:
            grey = torch.from_numpy(to_grey(rgb.movedim(0, -1).numpy()))[None]
        return soften(grey, generator), rgb


def stack_crops(crops: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Make a batch of crops, as it is, in channels_last memory.

    Args:
        crops: from `Crops`.

    Returns:
        grey (B, 1, size, size) and rgb (B, 3, size, size), uint8.
    """
    grey, rgb = zip(*crops, strict=True)
    return torch.stack(grey), torch.stack([image.movedim(0, -1) for image in rgb]).movedim(-1, 1)


def bin_shares(photos: Sequence[Tensor], centres: Tensor) -> Tensor:
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
