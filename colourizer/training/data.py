"""The photographs of a run: found, read, screened."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader

from colourizer.colour.bins import soft_bins
from colourizer.colour.space import rgb_to_lab
from colourizer.curation.derived_copies import find_originals, is_copy, original_of
from colourizer.curation.duplicates import find_duplicates
from colourizer.curation.screening import reason_to_reject
from colourizer.network.device import use_one_thread
from colourizer.photos.errors import PhotoError
from colourizer.photos.files import evenly_spaced, find_photos
from colourizer.runtime.cli import print_note, progress
from colourizer.runtime.parallel import map_ordered
from colourizer.runtime.process import count_cores
from colourizer.training.batches import (
    CropDataset,
    CropSampler,
    EpochConfig,
    ShardLoader,
    ThreadedLoader,
    identity_collate,
)
from colourizer.training.crops import CropBatch, CropConfig
from colourizer.training.photo_cache import CachedPhotos, DecodedPhoto, PhotoCache
from colourizer.training.shards import Shards, ShardsError, find_shards, list_members, load_reader
from colourizer.training.split import (
    BY_PATH,
    MAX_VALIDATION,
    choose_photos,
    name_photos,
    split,
)

VALIDATION_SIDE = 256  # pixels; fixed, so that figures of runs at other sizes can be compared
MIN_SIDE = 32  # pixels
MAX_NAMED = 5  # of the photographs that cannot be read
SHARE_PHOTOS, SHARE_STEP = 2000, 10  # photographs, pixels: what `bin_shares` samples


@dataclass
class TrainingSet:
    """The photographs of a run.

    train: each (3, H, W) uint8, decoded already; or in shards.
    train_paths: their files, in the same order.
    validation: (N, 3, VALIDATION_SIDE, VALIDATION_SIDE) uint8.
    validation_paths: the files of those, in the same order.
    rejected: how many files were left out, by reason.
    reused: how many photographs an earlier run had decoded.
    """

    train: CachedPhotos | Shards
    train_paths: list[Path]
    validation: Tensor
    validation_paths: list[Path]
    rejected: Counter[str]
    reused: int

    def batches(
        self, config: CropConfig, epoch: EpochConfig, workers: int
    ) -> "DataLoader[CropBatch] | ThreadedLoader | ShardLoader":
        """Return the loader of an epoch's batches of crops.

        Args:
            config: of the crops.
            epoch: which epoch, and this process's part of it.
            workers: processes that prefetch; with 0, and for shards always, threads do.
        """
        if isinstance(self.train, Shards):
            return ShardLoader(self.train, config, epoch)
        dataset, sampler = CropDataset(self.train, config), CropSampler(len(self.train), epoch)
        if not workers:
            return ThreadedLoader(dataset, sampler)
        return DataLoader(
            dataset,
            batch_sampler=sampler,
            num_workers=workers,
            collate_fn=identity_collate,
            pin_memory=torch.cuda.is_available(),
        )

    def count_by_folder(self) -> dict[str, int]:
        """Return how many photographs to train on each folder holds, by the folder's name."""
        names = {folder: folder.resolve().name for folder in {p.parent for p in self.train_paths}}
        return dict(Counter(names[path.parent] for path in self.train_paths))

    def fingerprint(self) -> str:
        """Return the SHA-256 of all files' names, in order: a resumed run needs the same."""
        paths = [*self.train_paths, *self.validation_paths]
        return hashlib.sha256(b"/".join(os.fsencode(path.name) for path in paths)).hexdigest()


@dataclass
class _Screening:
    """What was left out while photographs were read.

    rejected: how many, by reason; of the unreadable only as many as are in the list below.
    unreadable: files, and why they cannot be read.
    """

    rejected: Counter[str]
    unreadable: list[tuple[Path, PhotoError]] = field(default_factory=list)

    def read_usable(
        self, paths: list[Path], cache: PhotoCache, keep_grey: bool
    ) -> Iterator[tuple[Path, DecodedPhoto]]:
        """Read photographs; yield those of use, and count the others.

        Args:
            paths: the photographs.
            cache: reads them.
            keep_grey: whether near-grey photographs and graphics are of use.
        """
        for path, photo in progress(cache.read_all(paths), "reading", len(paths)):
            if isinstance(photo, PhotoError):
                self.unreadable.append((path, photo))
            elif min(cache.files.look_up(photo.pixels).shape[1:]) < MIN_SIDE:
                self.rejected[f"smaller than {MIN_SIDE} pixels"] += 1
            elif not keep_grey and (why := reason_to_reject(photo.statistics)):
                self.rejected[why] += 1
            else:
                yield path, photo

    def print_unreadable(self) -> None:
        """Print the first photographs that cannot be read, and how many more there are."""
        self.rejected["unreadable"] = len(self.unreadable)
        print_note(*(f"note: {path}: {error}" for path, error in self.unreadable[:MAX_NAMED]))
        if len(self.unreadable) > MAX_NAMED:
            print_note(f"note: and {len(self.unreadable) - MAX_NAMED} more that cannot be read")


@dataclass
class _ValidationSet:
    """Photographs that are held out.

    paths: the files of those that are validated on.
    squares: these, each (3, VALIDATION_SIDE, VALIDATION_SIDE) uint8.
    hashes: the dhash of all that were read; none of them may be trained on.
    """

    paths: list[Path] = field(default_factory=list)
    squares: list[Tensor] = field(default_factory=list)
    hashes: list[Tensor] = field(default_factory=list)

    def add(self, path: Path, rgb: Tensor) -> None:
        """Add a photograph, (3, H, W) uint8."""
        self.paths.append(path)
        self.squares.append(crop_square(rgb))


def read_training_set(
    folders: list[Path],
    validation: Path | None,
    side: int,
    cache: Path | None = None,
    drawn_by: str = BY_PATH,
) -> TrainingSet:
    """Read the photographs of a run; near-grey, broken and duplicate ones are left out.

    Args:
        folders: where to look for photographs to train on.
        validation: where to look for photographs to validate on; None holds some out.
        side: pixels to which the shortest side of larger photographs is reduced.
        cache: a folder that keeps decoded photographs; None keeps them in memory.
        drawn_by: what decides which are held out, as for `split.split`.

    Raises:
        ShardsError: a folder has shards, and they cannot be used.
    """
    if shards := [shard for folder in folders for shard in find_shards(folder)]:
        if any(find_photos(folder) for folder in folders):
            raise ShardsError(f"{shards[0].parent}: shards, and photographs beside them; part them")
        return list_sharded_set(shards, validation, side, drawn_by)
    train_paths, validation_paths, rejected = choose_photos(folders, validation, drawn_by)
    screening = _Screening(rejected)
    # Whoever names a folder to validate on gets the near-grey photographs of it too.
    keep_grey = validation is not None
    validation_cache = PhotoCache(cache, VALIDATION_SIDE)
    held_out = _read_validation_set(screening, validation_paths, validation_cache, keep_grey)
    train_cache = PhotoCache(cache, side)
    read = list(screening.read_usable(train_paths, train_cache, keep_grey=False))
    screening.print_unreadable()
    kept = _drop_duplicates(read, find_originals(train_paths), held_out.hashes)
    rejected["copies of others"] += len(read) - len(kept)
    originals = find_originals([path for path, _ in kept])
    if not held_out.squares and validation is None and len(originals) > 2:
        # None that was held out is usable: hold out the last one, and the copies made from it.
        last = originals[-1]
        held_out.add(last, train_cache.files.look_up(dict(kept)[last].pixels))
        kept = _without(kept, [last])
    return TrainingSet(
        train=CachedPhotos([photo.pixels for _, photo in kept], train_cache.files),
        train_paths=[path for path, _ in kept],
        validation=stack_squares(held_out.squares),
        validation_paths=held_out.paths,
        rejected=+rejected,
        reused=validation_cache.reused + train_cache.reused,
    )


def _read_validation_set(
    screening: _Screening, paths: list[Path], cache: PhotoCache, keep_grey: bool
) -> _ValidationSet:
    """Read photographs to validate on; squares are kept of at most MAX_VALIDATION."""
    held_out, measured = _ValidationSet(), set(evenly_spaced(paths, MAX_VALIDATION))
    for path, photo in screening.read_usable(paths, cache, keep_grey):
        held_out.hashes.append(photo.dhash)
        if path in measured:
            held_out.add(path, cache.files.look_up(photo.pixels))
    return held_out


def _drop_duplicates(
    read: list[tuple[Path, DecodedPhoto]], originals: list[Path], validation_hashes: list[Tensor]
) -> list[tuple[Path, DecodedPhoto]]:
    """Return the photographs that duplicate neither an earlier one nor one that is held out.

    Duplicates of photographs that are held out would leak validation data. Rotated and scaled
    copies that data_transformer.py made are kept or dropped with their originals.

    Args:
        read: photographs to train on.
        originals: those of them, and others, that are no derived copies.
        validation_hashes: dhash of each photograph that is held out.
    """
    among, known = set(originals), len(validation_hashes)
    compared = [(path, photo) for path, photo in read if path in among]
    found = find_duplicates([*validation_hashes, *(photo.dhash for _, photo in compared)])
    duplicates = [compared[index - known][0] for index in found if index >= known]
    return _without(read, duplicates)


def _without(
    read: list[tuple[Path, DecodedPhoto]], dropped: list[Path]
) -> list[tuple[Path, DecodedPhoto]]:
    """Return the photographs less the dropped ones and the copies that were made from these."""
    paths, originals = set(dropped), {original_of(path) for path in dropped}

    def is_dropped(path: Path) -> bool:
        return path in paths or (is_copy(path) and original_of(path) in originals)

    return [(path, photo) for path, photo in read if not is_dropped(path)]


def list_sharded_set(
    shards: list[Path], validation: Path | None, side: int, drawn_by: str
) -> TrainingSet:
    """Find the photographs of a run in shards, which are trained on without screening.

    Args:
        shards: the tar files.
        validation: as for `read_training_set`.
        side: as for `read_training_set`.
        drawn_by: as for `read_training_set`.

    Raises:
        ShardsError: the shards cannot be used.
    """
    load_reader()  # fails here rather than after the first epoch's start
    members = {member.path: member for shard in shards for member in list_members(shard)}
    if validation:
        held_out = read_training_set([], validation, side)
        train = Shards(list(members.values()), side)
        return replace(held_out, train=train, train_paths=list(members))
    folders: dict[Path, list[Path]] = {}
    for path, member in members.items():
        folders.setdefault(member.shard.parent, []).append(path)
    train_paths, candidates = split(name_photos(folders), drawn_by) if members else ([], [])
    validation_set, rejected = _ValidationSet(), Counter[str]()
    photos = Shards([members[path] for path in candidates], VALIDATION_SIDE)
    for index, path in enumerate(progress(candidates, "reading")):
        try:
            validation_set.add(path, photos[index])
        except PhotoError:
            rejected["unreadable"] += 1
    return TrainingSet(
        train=Shards([members[path] for path in train_paths], side),
        train_paths=train_paths,
        validation=stack_squares(validation_set.squares),
        validation_paths=validation_set.paths,
        rejected=rejected,
        reused=0,
    )


def crop_square(rgb: Tensor) -> Tensor:
    """Return a photograph's largest centred square, resized.

    Args:
        rgb: (3, H, W) uint8.

    Returns:
        rgb (3, VALIDATION_SIDE, VALIDATION_SIDE) uint8.
    """
    from torchvision.transforms.v2 import functional as transform  # its import takes 1.6 s

    size = (VALIDATION_SIDE, VALIDATION_SIDE)
    image = ImageOps.fit(transform.to_pil_image(rgb), size, Image.Resampling.LANCZOS)
    return transform.pil_to_tensor(image)


def stack_squares(squares: list[Tensor]) -> Tensor:
    """Return squares as one tensor, `TrainingSet.validation`; there may be none."""
    none = torch.zeros(0, 3, VALIDATION_SIDE, VALIDATION_SIDE, dtype=torch.uint8)
    return torch.stack(squares) if squares else none


def bin_shares(photos: Sequence[Tensor], centres: Tensor) -> Tensor:
    """Return each bin's share of the colours in a sample of the photographs' pixels.

    Args:
        photos: each (3, H, W) uint8.
        centres: (K, 2), the bins' ab in Lab units.

    Returns:
        shares (K,); they sum to 1.
    """

    def shares_of(index: int) -> Tensor:
        rgb = photos[index]
        ab = rgb_to_lab(rgb[:, ::SHARE_STEP, ::SHARE_STEP] / 255)[1:]  # (2, h, w)
        return soft_bins(ab.flatten(1).T, centres).mean(dim=0)

    total, cores = torch.zeros(len(centres)), count_cores()
    sample = evenly_spaced(range(len(photos)), SHARE_PHOTOS)
    for _, shares in map_ordered(sample, shares_of, cores, 2 * cores, use_one_thread):
        if isinstance(shares, PhotoError):  # a broken one in a shard
            continue
        if isinstance(shares, Exception):
            raise shares
        total += shares
    return total / total.sum()
