"""An epoch's batches of crops, in an order that the seed decides, prefetched by threads."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from colourizer.network.device import use_one_thread
from colourizer.photos.errors import PhotoError
from colourizer.runtime.parallel import map_ordered
from colourizer.runtime.process import count_cores
from colourizer.training.crops import CropBatch, CropConfig, make_batch
from colourizer.training.shards import Shards, ShardsError, decode, stream

T = TypeVar("T")

PREFETCH = 4  # batches that threads make before they are asked for
# Of shards: photographs in the shuffle buffer, and bytes of them at most.
SHUFFLE_BUFFER, SHUFFLE_BUFFER_BYTES = 2000, 256 * 2**20


@dataclass(frozen=True)
class EpochConfig:
    """What decides the batches of an epoch.

    batch_size: photographs in a batch, over all processes.
    seed, epoch: the same ones give the same batches.
    first_batch: to begin with, in order to go on with an epoch that was stopped.
    rank, world_size: which of how many processes takes its part of each batch here.
    """

    batch_size: int
    seed: int
    epoch: int
    first_batch: int = 0
    rank: int = 0
    world_size: int = 1

    def generator(self) -> torch.Generator:
        """Return the source of the epoch's random numbers."""
        return torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)

    def batch_starts(self, photos: int) -> range:
        """Return the start indices of the remaining batches, given the number of photographs."""
        # Batch normalization needs two photographs, and every process one: a smaller last batch is
        # left out.
        least = max(2, self.world_size)
        return range(0, max(1, photos - least + 1), self.batch_size)[self.first_batch :]

    def own_part(self, batch: list[T]) -> list[T]:
        """Return this process's part of a batch."""
        return batch[self.rank :: self.world_size]


class CropDataset(Dataset[CropBatch]):
    """Random crops of photographs, by batches; an index is (photograph, seed)."""

    def __init__(self, photos: Sequence[Tensor], config: CropConfig) -> None:
        self.photos, self.config = photos, config

    def __getitems__(self, indices: list[tuple[int, int]]) -> CropBatch:
        """Return a batch."""
        photo_index, seeds = zip(*indices, strict=True)
        photos = [self.photos[index] for index in photo_index]
        return make_batch(photos, photo_index, self.config, seeds)


def identity_collate(batch: Any) -> Any:
    """Return a batch as it is: a DataLoader's collate_fn for what `__getitems__` has collated."""
    return batch


class CropSampler(Sampler[list[tuple[int, int]]]):
    """The batches of one epoch, as indices for `CropDataset`: every photograph once."""

    def __init__(self, photos: int, epoch: EpochConfig) -> None:
        generator = epoch.generator()
        order = torch.randperm(photos, generator=generator).tolist()
        seeds = torch.randint(2**62, (photos,), generator=generator).tolist()
        samples = list(zip(order, seeds, strict=True))
        batches = (samples[i : i + epoch.batch_size] for i in epoch.batch_starts(photos))
        self.batches = [epoch.own_part(batch) for batch in batches]

    def __len__(self) -> int:
        """Return how many batches are left."""
        return len(self.batches)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """Yield the indices of each batch."""
        return iter(self.batches)


class ThreadedLoader:
    """A DataLoader whose workers are threads of this process."""

    def __init__(self, dataset: CropDataset, sampler: CropSampler) -> None:
        self.dataset, self.sampler = dataset, sampler

    def __len__(self) -> int:
        """Return how many batches are left."""
        return len(self.sampler)

    def __iter__(self) -> Iterator[CropBatch]:
        """Yield the batches."""
        cut = self.dataset.__getitems__
        for _, batch in map_ordered(self.sampler, cut, count_cores(), PREFETCH, use_one_thread):
            if isinstance(batch, Exception):
                raise batch
            yield batch


class ShardLoader:
    """The batches of one epoch out of shards, which are read one after the other.

    The shards are in an order that the seed decides, and their photographs go through a shuffle
    buffer, since random access to all shards would take a disk too long.
    """

    def __init__(self, photos: Shards, config: CropConfig, epoch: EpochConfig) -> None:
        self.photos, self.config, self.epoch = photos, config, epoch
        self.starts = epoch.batch_starts(len(photos))

    def __len__(self) -> int:
        """Return how many batches are left."""
        return len(self.starts)

    def __iter__(self) -> Iterator[CropBatch]:
        """Yield the batches; for a broken photograph another of its batch is taken.

        Raises:
            ShardsError: the shards are no longer what they were, or all of a batch is broken.
        """
        generator, batch_size = self.epoch.generator(), self.epoch.batch_size
        seeds = torch.randint(2**62, (len(self.photos),), generator=generator).tolist()
        rest = islice(self._shuffled(generator), self.epoch.first_batch * batch_size, None)

        def cut(whole: list[tuple[int, bytes]]) -> CropBatch:
            photo_index = [index for index, _ in self.epoch.own_part(whole)]
            crop_seeds = [seeds[index] for index in photo_index]
            return make_batch(self._decode_part(whole), photo_index, self.config, crop_seeds)

        batches = (list(islice(rest, batch_size)) for _ in self.starts)
        crops = map_ordered(batches, cut, count_cores(), PREFETCH, use_one_thread)
        for start, (whole, batch) in zip(self.starts, crops, strict=True):
            if len(whole) < min(batch_size, len(self.photos) - start):
                raise ShardsError("the shards have fewer photographs than when the run began")
            if isinstance(batch, Exception):
                raise batch
            yield batch

    def _decode_part(self, whole: list[tuple[int, bytes]]) -> list[Tensor]:
        """Return this process's photographs of a batch of (index, content).

        A broken photograph is replaced by the one before it; if there is none, by the first that
        can be decoded, even if it is another process's.

        Raises:
            ShardsError: all of the batch is broken.
        """
        part = self.epoch.own_part(whole)
        decoded: list[Tensor] = []
        broken: list[PhotoError] = []
        for number, (_, content) in enumerate([*part, *whole]):
            if number >= len(part) and decoded:
                break
            try:
                decoded.append(decode(content, self.photos.side))
            except PhotoError as error:
                broken.append(error)
                decoded += decoded[-1:]
        if not decoded:
            raise ShardsError(f"no photograph of a whole batch can be decoded: {broken[0]}")
        return [decoded[0]] * (len(part) - len(decoded)) + decoded

    def _shuffled(self, generator: torch.Generator) -> Iterator[tuple[int, bytes]]:
        """Yield each photograph's index and content, all once, in the epoch's order."""
        index_of = {member.path: index for index, member in enumerate(self.photos.members)}
        shards = sorted({member.shard for member in self.photos.members})
        order = torch.randperm(len(shards), generator=generator).tolist()
        buffer: list[tuple[int, bytes]] = []
        buffered = 0  # bytes

        def pop() -> tuple[int, bytes]:
            i = int(torch.randint(len(buffer), (), generator=generator))
            buffer[i], buffer[-1] = buffer[-1], buffer[i]
            return buffer.pop()

        for path, content in stream([shards[i] for i in order]):
            if (index := index_of.pop(path, None)) is None:  # held out, or there twice
                continue
            buffer.append((index, content))
            buffered += len(content)
            while len(buffer) > SHUFFLE_BUFFER or buffered > SHUFFLE_BUFFER_BYTES:
                popped = pop()
                buffered -= len(popped[1])
                yield popped
        while buffer:
            yield pop()
