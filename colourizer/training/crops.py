"""Crops of photographs, batch after batch: mirrored, made to look old and soft at random."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from colourizer.colour.space import grey_to_lightness, rgb_to_lab, round_to_greys
from colourizer.photos.errors import PhotoError
from colourizer.runtime.parallel import map_ordered
from colourizer.runtime.process import count_cores
from colourizer.training.ageing import age
from colourizer.training.shards import Shards, ShardsError, decode, stream

T = TypeVar("T")

SMALLEST_CROP = 0.35  # of a photograph's area: the scale jitter
# Every other crop looks soft to the network, as scans and enlarged photographs are: reduced to
# between so much of its size and all of it, and enlarged again.
SOFTEST = 0.4
AHEAD = 4  # batches that threads make before they are asked for
# Photographs of shards that wait to change places, and how many bytes of them at most.
MIXED, MIXED_BYTES = 2000, 256 * 2**20


class CropBatch(NamedTuple):
    """Crops as they are cut; what the network sees of them is worked out where it is, by `pair`.

    rgb: (B, 3, S, S) uint8, the truth, in channels_last memory.
    aged: (A, 1, S, S) uint8, in grey, what is seen of those that look old.
    old: (A,), the places of those among the B.
    sides: (B,), pixels to which each is reduced before it is enlarged again; S leaves it as it is.
    numbers: (B,), which photographs they were cut out of.
    """

    rgb: Tensor
    aged: Tensor
    old: Tensor
    sides: Tensor
    numbers: Tensor

    def to(self, device: torch.device) -> "CropBatch":
        """Move what is computed with to a device."""
        rgb, aged, old = (t.to(device, non_blocking=True) for t in (self.rgb, self.aged, self.old))
        return self._replace(rgb=rgb, aged=aged, old=old)


@cache
def _softening(size: int, side: int) -> Tensor:
    """Say what each of `size` pixels in a row becomes, reduced to `side` and enlarged: a matrix."""
    rows = torch.eye(size)[None, None]
    for height in (side, size):
        rows = F.interpolate(rows, (height, size), mode="bilinear", antialias=True)
    return rows[0, 0]


def pair(batch: CropBatch) -> tuple[Tensor, Tensor]:
    """Work out what the network sees of a batch, and what it should say.

    Args:
        batch: on the device to compute on.

    Returns:
        lightness (B, 1, S, S) in [0, 100], that of an 8-bit grey photograph, in channels_last
        memory; ab (B, 2, S, S) in Lab units.
    """
    lab = rgb_to_lab(batch.rgb.float() / 255)
    lightness, ab = lab[:, :1], lab[:, 1:]
    if len(batch.old):
        old = grey_to_lightness(batch.aged.float() / 255)
        lightness = lightness.index_copy(0, batch.old, old)
    size = batch.rgb.shape[-1]
    soft = batch.sides.ne(size).nonzero()[:, 0]
    if len(soft):
        rows = torch.stack([_softening(size, side) for side in batch.sides[soft].tolist()])
        rows, soft = rows[:, None].to(lab.device), soft.to(lab.device)  # (soft, 1, S, S)
        lightness = lightness.index_copy(0, soft, rows @ lightness[soft] @ rows.mT)
    # Rounded, as whatever `colourizer.py` shows the network is.
    return round_to_greys(lightness).contiguous(memory_format=torch.channels_last), ab


def cut_crop(rgb: Tensor, chances: Sequence[float], crop: Tensor) -> None:
    """Cut a part out of a photograph, resize and mirror it.

    Args:
        rgb: (3, H, W) uint8.
        chances: five numbers in [0, 1) that decide area, aspect, place and mirroring.
        crop: (3, S, S) uint8, gets the result.
    """
    area, aspect, top, left, mirror = chances
    height, width = rgb.shape[-2:]
    # Area between SMALLEST_CROP and 1 of the largest square, aspect between 3:4 and 4:3.
    side = min(height, width) * math.sqrt(SMALLEST_CROP ** (1 - area))
    stretch = (4 / 3) ** (aspect - 0.5)  # of one side against their geometric mean
    crop_h, crop_w = min(height, round(side * stretch)), min(width, round(side / stretch))
    y, x = round(top * (height - crop_h)), round(left * (width - crop_w))
    part = rgb[:, y : y + crop_h, x : x + crop_w].movedim(0, -1)
    # NumPy copies faster, but takes eight times as long to do it backwards.
    part = part.flip(1) if mirror < 0.5 else torch.from_numpy(np.array(part.numpy()))
    # With all strides of channels_last memory, the batch's too, resizing takes half as long.
    part = part.view(1, *part.shape).movedim(-1, 1)
    crop.copy_(F.interpolate(part, crop.shape[-2:], mode="bilinear", antialias=True)[0])


def make_batch(
    photos: Sequence[Tensor], numbers: Sequence[int], size: int, aged: float, seeds: Sequence[int]
) -> CropBatch:
    """Cut a crop out of each photograph, and make some of them look old.

    Args:
        photos: each (3, H, W) uint8.
        numbers: which they are.
        size: side of the crops in pixels.
        aged: share of all crops that looks old.
        seeds: each decides everything about a crop, so that a resumed run sees what an unbroken
            one would have.
    """
    rgb = torch.empty(len(photos), size, size, 3, dtype=torch.uint8).movedim(-1, 1)
    old: list[int] = []
    sides: list[int] = []
    seen = [torch.empty(0, 1, size, size, dtype=torch.uint8)]
    for photo, crop, seed in zip(photos, rgb, seeds, strict=True):
        generator = torch.Generator().manual_seed(seed)
        *chances, age_chance, softness = torch.rand(7, generator=generator).tolist()
        cut_crop(photo, chances, crop)
        if age_chance < aged:
            old.append(len(sides))
            seen.append(age(crop, generator)[None])
        sides.append(round(size * min(1, SOFTEST + (1 - SOFTEST) * 2 * softness)))
    places = torch.tensor(old, dtype=torch.int64)
    return CropBatch(rgb, torch.cat(seen), places, torch.tensor(sides), torch.tensor(numbers))


class Crops(Dataset[CropBatch]):
    """Random crops of photographs, by batches; an index is (photograph, seed)."""

    def __init__(self, photos: Sequence[Tensor], size: int, aged: float) -> None:
        """Take photographs, the side of the crops, and the share of them that looks old."""
        self.photos, self.size, self.aged = photos, size, aged

    def __getitems__(self, indices: list[tuple[int, int]]) -> CropBatch:
        """Cut a batch."""
        numbers, seeds = zip(*indices, strict=True)
        photos = [self.photos[n] for n in numbers]
        return make_batch(photos, numbers, self.size, self.aged, seeds)


def as_it_is(batch: Any) -> Any:
    """Be what a DataLoader puts a batch together with."""
    return batch


@dataclass(frozen=True)
class Order:
    """What decides the batches of an epoch.

    batch_size: photographs in a batch.
    seed, epoch: the same ones give the same batches.
    first: the number of the batch to begin with, to go on with an epoch that was stopped.
    part, parts: of each batch, which of how many processes takes its share here.
    """

    batch_size: int
    seed: int
    epoch: int
    first: int = 0
    part: int = 0
    parts: int = 1

    def generator(self) -> torch.Generator:
        """Make the source of the epoch's random numbers."""
        return torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)

    def starts(self, photos: int) -> range:
        """List where in the epoch's order of so many photographs its batches begin."""
        # Batch normalization finds no statistics in one photograph, and every process needs one:
        # a last batch of fewer is left out.
        least = max(2, self.parts)
        return range(0, max(1, photos - least + 1), self.batch_size)[self.first :]

    def share(self, batch: list[T]) -> list[T]:
        """Take this process's share of a batch."""
        return batch[self.part :: self.parts]


class Batches(Sampler[list[tuple[int, int]]]):
    """The batches of one epoch: every photograph once, in an order that the seed decides."""

    def __init__(self, photos: int, order: Order) -> None:
        generator = order.generator()
        numbers = torch.randperm(photos, generator=generator).tolist()
        seeds = torch.randint(2**62, (photos,), generator=generator).tolist()
        samples = list(zip(numbers, seeds, strict=True))
        batches = (samples[i : i + order.batch_size] for i in order.starts(photos))
        self.batches = [order.share(batch) for batch in batches]

    def __len__(self) -> int:
        """Count the batches that are left."""
        return len(self.batches)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """Give a list of indices for `Crops` per batch."""
        return iter(self.batches)


def _begin_thread() -> None:
    """Let torch use one core in a thread that cuts crops.

    Else each of its operations would keep all cores busy, the network's too, for next to nothing.
    """
    torch.set_num_threads(1)  # of this thread; others that run already keep theirs


class CropBatches:
    """Crops, batch after batch, cut by threads of this process."""

    def __init__(self, crops: Crops, batches: Batches) -> None:
        self.crops, self.batches = crops, batches

    def __len__(self) -> int:
        """Count the batches that are left."""
        return len(self.batches)

    def __iter__(self) -> Iterator[CropBatch]:
        """Give the batches."""
        for _, batch in map_ordered(
            self.batches, self.crops.__getitems__, count_cores(), AHEAD, _begin_thread
        ):
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

    def __iter__(self) -> Iterator[CropBatch]:
        """Give the batches; for a broken photograph one beside it is taken.

        Raises:
            ShardsError: the shards are no longer what they were, or all is broken.
        """
        generator = self.order.generator()
        seeds = torch.randint(2**62, (len(self.photos),), generator=generator).tolist()
        batch_size = self.order.batch_size
        rest = islice(self._mixed(generator), self.order.first * batch_size, None)

        def cut(whole: list[tuple[int, bytes]]) -> CropBatch:
            batch = self.order.share(whole)
            decoded: list[Tensor] = []
            broken: list[PhotoError] = []
            for number, (_, content) in enumerate([*batch, *whole]):
                if number >= len(batch) and decoded:
                    break
                try:
                    decoded.append(decode(content, self.photos.side))
                except PhotoError as error:
                    broken.append(error)
                    decoded += decoded[-1:]
            if not decoded:
                raise ShardsError(f"no photograph of a whole batch can be decoded: {broken[0]}")
            decoded = [decoded[0]] * (len(batch) - len(decoded)) + decoded
            numbers = [number for number, _ in batch]
            of_crops = [seeds[number] for number in numbers]
            return make_batch(decoded, numbers, self.size, self.aged, of_crops)

        batches = (list(islice(rest, batch_size)) for _ in self.starts)
        for start, (batch, crops) in zip(
            self.starts, map_ordered(batches, cut, count_cores(), AHEAD, _begin_thread), strict=True
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
