"""The photographs of a run: found, read, screened."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.transforms.v2 import functional as transform

from colourizer.colour.bins import soft_bins
from colourizer.colour.space import rgb_to_lab
from colourizer.curation.derived_copies import find_originals, original_of
from colourizer.curation.duplicates import find_duplicates
from colourizer.curation.screening import reason_to_reject
from colourizer.photos.errors import PhotoError
from colourizer.photos.files import evenly_spaced, find_photos
from colourizer.runtime.cli import print_note, progress
from colourizer.training.crops import (
    Batches,
    CropBatch,
    CropBatches,
    Crops,
    Order,
    ShardBatches,
    as_it_is,
)
from colourizer.training.photo_cache import Decoded, PhotoCache, Photos
from colourizer.training.shards import Shards, ShardsError, find_shards, list_members, load_reader
from colourizer.training.split import MOST_VALIDATION, choose, split

VALIDATION_SIDE = 256  # pixels; fixed, so that figures of runs at other sizes can be compared
SMALLEST_SIDE = 32  # pixels
MOST_NAMED = 5  # of the photographs that cannot be read
SHARE_PHOTOS, SHARE_STEP = 2000, 10  # photographs, pixels: what `bin_shares` looks at


@dataclass
class Gathered:
    """The photographs of a run.

    train: each (3, H, W) uint8, decoded already; or in shards.
    names: their files, in the same order.
    validation: (N, 3, VALIDATION_SIDE, VALIDATION_SIDE) uint8.
    held_out: the files of those.
    rejected: how many files were left out, by reason.
    reused: how many photographs an earlier run had decoded.
    """

    train: Photos | Shards
    names: list[Path]
    validation: Tensor
    held_out: list[Path]
    rejected: Counter[str]
    reused: int

    def batches(
        self, size: int, aged: float, order: Order, processes: int
    ) -> "DataLoader[CropBatch] | CropBatches | ShardBatches":
        """Give crops of the photographs to train on, batch after batch.

        Args:
            size: side of the crops in pixels.
            aged: share of them that looks old.
            order: what decides which photographs a batch is made of.
            processes: that read ahead; 0, and shards always, read ahead in threads.
        """
        if isinstance(self.train, Shards):
            return ShardBatches(self.train, size, aged, order)
        crops, batches = Crops(self.train, size, aged), Batches(len(self.train), order)
        if not processes:
            return CropBatches(crops, batches)
        return DataLoader(
            crops,
            batch_sampler=batches,
            num_workers=processes,
            collate_fn=as_it_is,
            pin_memory=torch.cuda.is_available(),
        )

    def by_folder(self) -> dict[str, int]:
        """Count the photographs to train on by the name of the folder they lie in."""
        return dict(Counter(name.resolve().parent.name for name in self.names))

    def fingerprint(self) -> str:
        """Tell sets of photographs apart: a hash over their names, in order."""
        names = (os.fsencode(name.name) for name in [*self.names, *self.held_out])
        return hashlib.sha256(b"/".join(names)).hexdigest()


def gather(
    folders: list[Path], validation: Path | None, side: int, cache: Path | None = None
) -> Gathered:
    """Read the photographs of a run; near-grey, broken and double ones are left out.

    Args:
        folders: where to look for photographs to train on.
        validation: where to look for photographs to validate on; None holds some out.
        side: pixels to which the shortest side of larger photographs is reduced.
        cache: a folder that keeps decoded photographs; None keeps them in memory.

    Raises:
        ShardsError: a folder has shards, and they cannot be used.
    """
    if shards := [shard for folder in folders for shard in find_shards(folder)]:
        if any(find_photos(folder) for folder in folders):
            raise ShardsError(f"{shards[0].parent}: shards, and photographs beside them; part them")
        return gather_shards(shards, validation, side)
    train_paths, validation_paths, rejected = choose(folders, validation)
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
            elif not grey_too and (why := reason_to_reject(photo.statistics)):
                rejected[why] += 1
            else:
                yield path, photo

    # Who names a folder to validate on gets the near-grey ones of it too. All of it is looked at,
    # even if only some is used: none of it may be trained on.
    shown = set(evenly_spaced(validation_paths, MOST_VALIDATION))
    held_out, squares, hashes = [], [], []

    def hold_out(path: Path, rgb: Tensor) -> None:
        held_out.append(path)
        squares.append(cut_square(rgb))

    to_validate = PhotoCache(cache, VALIDATION_SIDE)
    for path, photo in usable(validation_paths, to_validate, validation is not None):
        hashes.append(photo.dhash)
        if path in shown:
            hold_out(path, to_validate.files.look_up(photo.pixels))
    known = len(hashes)
    originals = set(find_originals(train_paths))
    compared, kept = [], []
    to_train = PhotoCache(cache, side)
    for path, photo in usable(train_paths, to_train, grey_too=False):
        if path in originals:
            hashes.append(photo.dhash)
            compared.append(path)
        kept.append((path, photo))
    rejected["unreadable"] = len(unreadable)
    print_note(*(f"note: {path}: {error}" for path, error in unreadable[:MOST_NAMED]))
    if len(unreadable) > MOST_NAMED:
        print_note(f"note: and {len(unreadable) - MOST_NAMED} more that cannot be read")
    # A copy of a photograph that is validated on would be learnt by heart. A rotated or scaled copy
    # is meant to be one; it goes with the photograph that it was made from.
    copies = {original_of(compared[i - known]) for i in find_duplicates(hashes) if i >= known}
    trained_on = [photo for photo in kept if original_of(photo[0]) not in copies]
    rejected["copies of others"] += len(kept) - len(trained_on)
    left = find_originals([path for path, _ in trained_on])
    if not squares and validation is None and len(left) > 2:  # all held out were of no use
        hold_out(left[-1], to_train.files.look_up(dict(trained_on)[left[-1]].pixels))
        taken_out = original_of(left[-1])
        trained_on = [photo for photo in trained_on if original_of(photo[0]) != taken_out]
    return Gathered(
        Photos([photo.pixels for _, photo in trained_on], to_train.files),
        [path for path, _ in trained_on],
        stack_squares(squares),
        held_out,
        +rejected,
        to_validate.reused + to_train.reused,
    )


def gather_shards(shards: list[Path], validation: Path | None, side: int) -> Gathered:
    """Find the photographs of a run in shards; what is in them is trained on as it is.

    Args:
        shards: the tar files.
        validation: as of `gather`.
        side: as of `gather`.

    Raises:
        ShardsError: the shards cannot be used.
    """
    load_reader()  # rather now than after a while
    members = {member.path: member for shard in shards for member in list_members(shard)}
    if validation:
        apart = gather([], validation, side)
        return replace(apart, train=Shards(list(members.values()), side), names=list(members))
    train, candidates = split(list(members)) if members else ([], [])
    held_out, squares = [], []
    rejected: Counter[str] = Counter()
    to_validate = Shards([members[path] for path in candidates], VALIDATION_SIDE)
    for number, path in enumerate(progress(candidates, "reading")):
        try:
            squares.append(cut_square(to_validate[number]))
        except PhotoError:
            rejected["unreadable"] += 1
        else:
            held_out.append(path)
    photos = Shards([members[path] for path in train], side)
    return Gathered(photos, train, stack_squares(squares), held_out, rejected, reused=0)


def cut_square(rgb: Tensor) -> Tensor:
    """Cut what is validated on out of a photograph's middle.

    Args:
        rgb: (3, H, W) uint8.

    Returns:
        rgb (3, VALIDATION_SIDE, VALIDATION_SIDE) uint8.
    """
    size = (VALIDATION_SIDE, VALIDATION_SIDE)
    square = ImageOps.fit(transform.to_pil_image(rgb), size, Image.Resampling.LANCZOS)
    return transform.pil_to_tensor(square)


def stack_squares(squares: list[Tensor]) -> Tensor:
    """Put any number of squares together, 0 too; returns as `Gathered.validation`."""
    none = torch.zeros(0, 3, VALIDATION_SIDE, VALIDATION_SIDE, dtype=torch.uint8)
    return torch.stack(squares) if squares else none


def bin_shares(photos: Sequence[Tensor], centres: Tensor) -> Tensor:
    """Measure how common each bin's colours are, in a sample of the photographs' pixels.

    Args:
        photos: each (3, H, W) uint8.
        centres: (K, 2), the bins' ab in Lab units.

    Returns:
        shares (K,); they sum to 1.
    """
    shares = torch.zeros(len(centres))
    for number in evenly_spaced(range(len(photos)), SHARE_PHOTOS):
        with suppress(PhotoError):  # a broken one in a shard
            rgb = photos[number]
            ab = rgb_to_lab(rgb[:, ::SHARE_STEP, ::SHARE_STEP] / 255)[1:]  # (2, h, w)
            shares += soft_bins(ab.flatten(1).T, centres).mean(dim=0)
    return shares / shares.sum()
