"""Training pairs: which photographs, and crops of them, mirrored and aged at random."""

import hashlib
import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision.transforms.v2 import functional as transform

from ab_bins import soft_bins
from ageing import age
from colour_space import rgb_to_lab
from console import print_note, progress
from device import count_cores
from duplicates import find_copies
from made_copies import find_originals, is_copy, original_of
from photo import PhotoError, find_photos, spread, square
from photo_cache import Decoded, PhotoCache, Photos
from recombine import to_grey
from rejected_list import REJECTED_LIST, read_rejected
from screening import objection
from tar_shards import Shards, ShardsError, decode, find_shards, list_members, load_reader, stream
from threads import each

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
AHEAD = 4  # batches that threads make before they are asked for
# Photographs of shards that wait to change places, and how many bytes of them at most.
MIXED, MIXED_BYTES = 2000, 256 * 2**20
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
        self, size: int, aged: float, order: "Order", processes: int
    ) -> "DataLoader[tuple[Tensor, Tensor]] | CropBatches | ShardBatches":
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
        return DataLoader(crops, batch_sampler=batches, num_workers=processes, collate_fn=as_it_is)

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


def choose(
    folders: list[Path], validation: Path | None
) -> tuple[list[Path], list[Path], Counter[str]]:
    """Choose photographs by what they are called and where they lie.

    Args:
        folders: where to look for photographs to train on.
        validation: where to look for photographs to validate on; None holds some out.

    Returns:
        Those to train on, those to validate on, and how many are in a rejected.txt.
    """
    given = [*folders, *([validation] if validation else [])]
    unwanted = {path.resolve() for folder in given for path in read_rejected(folder)}
    names = {original_of(path) for path in unwanted if not is_copy(path)}

    def find_wanted(folder: Path) -> list[Path]:
        found = find_photos(folder)
        wanted = [path for path in found if path.resolve() not in unwanted]
        wanted = [path for path in wanted if not (is_copy(path) and original_of(path) in names)]
        left_out.update(path.resolve() for path in {*found} - {*wanted})
        return wanted

    left_out: set[Path] = set()
    paths = [path for folder in folders for path in find_wanted(folder)]
    held_out = find_wanted(validation) if validation else []
    rejected = Counter({f"in {REJECTED_LIST}": len(left_out)})
    if validation is None:
        return *split(paths), rejected
    taken = {path.resolve() for path in find_photos(validation)}
    names_taken = {original_of(path) for path in held_out}
    train = [path for path in paths if path.resolve() not in taken]
    train = [path for path in train if not (is_copy(path) and original_of(path) in names_taken)]
    return train, held_out, rejected


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
        squares.append(cut_square(rgb))

    to_validate = PhotoCache(cache, VALIDATION_SIDE)
    for path, photo in usable(validation_paths, to_validate, validation is not None):
        hashes.append(photo.places)
        if path in shown:
            hold_out(path, to_validate.files.look_up(photo.pixels))
    known = len(hashes)
    originals = set(find_originals(train_paths))
    compared, kept = [], []
    to_train = PhotoCache(cache, side)
    for path, photo in usable(train_paths, to_train, grey_too=False):
        if path in originals:
            hashes.append(photo.places)
            compared.append(path)
        kept.append((path, photo))
    rejected["unreadable"] = len(unreadable)
    print_note(*(f"note: {path}: {error}" for path, error in unreadable[:MOST_NAMED]))
    if len(unreadable) > MOST_NAMED:
        print_note(f"note: and {len(unreadable) - MOST_NAMED} more that cannot be read")
    # A copy of a photograph that is validated on would be learnt by heart. A rotated or scaled copy
    # is meant to be one; it goes with the photograph that it was made from.
    copies = {original_of(compared[i - known]) for i in find_copies(hashes) if i >= known}
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
    return transform.pil_to_tensor(square(transform.to_pil_image(rgb), VALIDATION_SIDE))


def stack_squares(squares: list[Tensor]) -> Tensor:
    """Put any number of squares together, 0 too; returns as `Gathered.validation`."""
    none = torch.zeros(0, 3, VALIDATION_SIDE, VALIDATION_SIDE, dtype=torch.uint8)
    return torch.stack(squares) if squares else none


def _resize(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize (H, W, C) uint8, bilinearly, without aliasing."""
    # Of a batch of one, in channels_last memory, it takes two thirds of the time.
    planes = torch.from_numpy(np.ascontiguousarray(pixels)).movedim(-1, 0)[None]
    return transform.resize(planes, [height, width], antialias=True)[0].movedim(0, -1).numpy()


def random_crop(rgb: Tensor, size: int, generator: torch.Generator) -> np.ndarray:
    """Cut a random part out of a photograph, resize and mirror it.

    Args:
        rgb: (3, H, W) uint8.
        size: side of the result in pixels.
        generator: decides everything.

    Returns:
        pixels (size, size, 3) uint8.
    """
    area, aspect, top, left, mirror = torch.rand(5, generator=generator).tolist()
    height, width = rgb.shape[-2:]
    # Area between SMALLEST_CROP and 1 of the largest square, aspect between 3:4 and 4:3.
    side = min(height, width) * math.sqrt(SMALLEST_CROP ** (1 - area))
    stretch = (4 / 3) ** (aspect - 0.5)  # of one side against their geometric mean
    crop_h, crop_w = min(height, round(side * stretch)), min(width, round(side / stretch))
    top, left = round(top * (height - crop_h)), round(left * (width - crop_w))
    pixels = rgb[:, top : top + crop_h, left : left + crop_w].movedim(0, -1).numpy()
    pixels = _resize(pixels, size, size)
    # NumPy would take eight times as long to copy them backwards.
    return torch.from_numpy(pixels).flip(1).numpy() if mirror < 0.5 else pixels


def soften(grey: np.ndarray, generator: torch.Generator) -> np.ndarray:
    """Reduce and enlarge again, by chance; grey: (S, S) uint8. Returns the same shape."""
    size = len(grey)
    chance = torch.rand((), generator=generator).item()
    if chance >= 0.5:
        return grey
    softened = round(size * (SOFTEST + (1 - SOFTEST) * 2 * chance))
    # Twice the columns, the picture being turned over its diagonal between. Four neighbours are
    # resized as the channels of one pixel, which takes hardly longer than one of them.
    four = math.gcd(size, 4)
    for _ in range(2):
        packed = _resize(grey.reshape(size, size // four, four), softened, size // four)
        packed = _resize(packed, size, size // four)
        grey = np.ascontiguousarray(packed.reshape(size, size).T)
    return grey


def make_batch(
    photos: Sequence[Tensor], size: int, aged: float, seeds: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Cut a crop out of each photograph, and say what the network sees of it.

    Pixels are copied by NumPy: torch would use all cores for it, where other threads make other
    batches.

    Args:
        photos: each (3, H, W) uint8.
        size: side of the crops in pixels.
        aged: share of all crops that looks old.
        seeds: each decides everything about a crop, so that a resumed run sees what an unbroken
            one would have.

    Returns:
        grey (B, 1, size, size) uint8, what the network sees; rgb (B, 3, size, size) uint8, the
        truth, in channels_last memory.
    """
    pixels = np.empty((len(photos), size, size, 3), dtype=np.uint8)
    grey = np.empty((len(photos), size, size), dtype=np.uint8)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    for n, (rgb, generator) in enumerate(zip(photos, generators, strict=True)):
        pixels[n] = random_crop(rgb, size, generator)
        if torch.rand((), generator=generator).item() < aged:
            seen = age(torch.from_numpy(pixels[n]).movedim(-1, 0), generator)[0].numpy()
        else:
            seen = to_grey(pixels[n])
        grey[n] = soften(seen, generator)
    return torch.from_numpy(grey)[:, None], torch.from_numpy(pixels).movedim(-1, 1)


class Crops(Dataset[tuple[Tensor, Tensor]]):
    """Random crops of photographs, by batches; an index is (photograph, seed)."""

    def __init__(self, photos: Sequence[Tensor], size: int, aged: float) -> None:
        """Take photographs, the side of the crops, and the share of them that looks old."""
        self.photos, self.size, self.aged = photos, size, aged

    def __getitems__(self, indices: list[tuple[int, int]]) -> tuple[Tensor, Tensor]:
        """Cut a batch; returns as `make_batch`."""
        numbers, seeds = zip(*indices, strict=True)
        return make_batch([self.photos[n] for n in numbers], self.size, self.aged, seeds)


def as_it_is(batch: Any) -> Any:
    """Be what a DataLoader puts a batch together with."""
    return batch


def bin_shares(photos: Sequence[Tensor], centres: Tensor) -> Tensor:
    """Measure how common each bin's colours are, in a sample of the photographs' pixels.

    Args:
        photos: each (3, H, W) uint8.
        centres: (K, 2), the bins' ab in Lab units.

    Returns:
        shares (K,); they sum to 1.
    """
    shares = torch.zeros(len(centres))
    for number in spread(range(len(photos)), SHARE_PHOTOS):
        with suppress(PhotoError):  # a broken one in a shard
            rgb = photos[number]
            ab = rgb_to_lab(rgb[:, ::SHARE_STEP, ::SHARE_STEP] / 255)[1:]  # (2, h, w)
            shares += soft_bins(ab.flatten(1).T, centres).mean(dim=0)
    return shares / shares.sum()


@dataclass(frozen=True)
class Order:
    """What decides the batches of an epoch.

    batch_size: photographs in a batch.
    seed, epoch: the same ones give the same batches.
    first: the number of the batch to begin with, to go on with an epoch that was stopped.
    """

    batch_size: int
    seed: int
    epoch: int
    first: int = 0

    def generator(self) -> torch.Generator:
        """Make the source of the epoch's random numbers."""
        return torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)

    def starts(self, photos: int) -> range:
        """List where in the epoch's order of so many photographs its batches begin."""
        # A last batch of one photograph has no statistics for batch normalization: leave it out.
        return range(0, max(1, photos - 1), self.batch_size)[self.first :]


class Batches(Sampler[list[tuple[int, int]]]):
    """The batches of one epoch: every photograph once, in an order that the seed decides."""

    def __init__(self, photos: int, order: Order) -> None:
        generator = order.generator()
        numbers = torch.randperm(photos, generator=generator).tolist()
        seeds = torch.randint(2**62, (photos,), generator=generator).tolist()
        samples = list(zip(numbers, seeds, strict=True))
        self.batches = [samples[i : i + order.batch_size] for i in order.starts(photos)]

    def __len__(self) -> int:
        """Count the batches that are left."""
        return len(self.batches)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """Give a list of indices for `Crops` per batch."""
        return iter(self.batches)


class CropBatches:
    """Crops, batch after batch, cut by threads of this process."""

    def __init__(self, crops: Crops, batches: Batches) -> None:
        self.crops, self.batches = crops, batches

    def __len__(self) -> int:
        """Count the batches that are left."""
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Give the batches, as `make_batch`."""
        for _, batch in each(self.batches, self.crops.__getitems__, count_cores(), AHEAD):
            if isinstance(batch, Exception):
                raise batch
            yield batch


class ShardBatches:
    """The batches of one epoch out of shards, which are read one after the other.

    The shards are in an order that the seed decides, and photographs change places with those
    that were read shortly before; a random place in all shards for each would take a disk too long.
    """

    def __init__(self, photos: Shards, size: int, aged: float, order: Order) -> None:
        self.photos, self.size, self.aged, self.order = photos, size, aged, order
        self.starts = order.starts(len(photos))

    def __len__(self) -> int:
        """Count the batches that are left."""
        return len(self.starts)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Give the batches, as `make_batch`; for a broken photograph one beside it is taken.

        Raises:
            ShardsError: the shards are no longer what they were, or all is broken.
        """
        generator = self.order.generator()
        seeds = torch.randint(2**62, (len(self.photos),), generator=generator).tolist()
        batch_size = self.order.batch_size
        rest = islice(self._mixed(generator), self.order.first * batch_size, None)

        def cut(batch: list[tuple[int, bytes]]) -> tuple[Tensor, Tensor]:
            decoded, broken = [], []
            for _, content in batch:
                try:
                    decoded.append(decode(content, self.photos.side))
                except PhotoError as error:
                    broken.append(error)
                    decoded += decoded[-1:]
            if not decoded:
                raise ShardsError(f"no photograph of a whole batch can be decoded: {broken[0]}")
            decoded = [decoded[0]] * (len(batch) - len(decoded)) + decoded
            return make_batch(decoded, self.size, self.aged, [seeds[number] for number, _ in batch])

        batches = (list(islice(rest, batch_size)) for _ in self.starts)
        for start, (batch, crops) in zip(
            self.starts, each(batches, cut, count_cores(), AHEAD), strict=True
        ):
            if len(batch) < min(batch_size, len(self.photos) - start):
                raise ShardsError("the shards have fewer photographs than when the run began")
            if isinstance(crops, Exception):
                raise crops
            yield crops

    def _mixed(self, generator: torch.Generator) -> Iterator[tuple[int, bytes]]:
        """Give each photograph's number and content, all once, in the epoch's order."""
        numbers = {member.path: number for number, member in enumerate(self.photos.members)}
        shards = sorted({member.shard for member in self.photos.members})
        order = torch.randperm(len(shards), generator=generator).tolist()
        waiting: list[tuple[int, bytes]] = []
        held = 0  # bytes

        def pick() -> tuple[int, bytes]:
            i = int(torch.randint(len(waiting), (), generator=generator))
            waiting[i], waiting[-1] = waiting[-1], waiting[i]
            return waiting.pop()

        for path, content in stream([shards[i] for i in order]):
            if (number := numbers.pop(path, None)) is None:  # held out, or there twice
                continue
            waiting.append((number, content))
            held += len(content)
            while len(waiting) > MIXED or held > MIXED_BYTES:
                picked = pick()
                held -= len(picked[1])
                yield picked
        while waiting:
            yield pick()
