"""Photographs in tar files, the shards of the WebDataset layout: for sets that outgrow one disk."""

import io
import re
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from colourizer.photos.files import is_photo_name
from colourizer.photos.read import read_rgb
from colourizer.runtime.errors import HintedError, reason_of

METADATA = re.compile(r"__[^/]*__($|/)")  # names that webdataset passes over


class ShardsError(HintedError):
    """Shards that cannot be used; notes hold hints."""


@dataclass(frozen=True)
class Member:
    """A photograph in a shard.

    shard: the tar file.
    name: its path in there.
    start, size: where its content lies, in bytes.
    """

    shard: Path
    name: str
    start: int
    size: int

    @property
    def path(self) -> Path:
        """Its path as if the shard were a folder."""
        return self.shard / self.name


def find_shards(folder: Path) -> list[Path]:
    """Return the shards in a folder, sorted by name."""
    found = folder.glob("*.tar")
    return sorted(path for path in found if path.is_file() and not path.name.startswith("."))


def list_members(shard: Path) -> list[Member]:
    """Return the photographs in a shard, in its order; only its headers are read.

    Raises:
        ShardsError: it is no tar file, or one that was cut short.
    """
    try:
        with tarfile.open(shard, "r:") as tar:
            return [
                Member(shard, entry.name, entry.offset_data, entry.size)
                for entry in tar
                if entry.isreg()
                and is_photo_name(Path(entry.name))
                and not METADATA.match(entry.name)
            ]
    except (OSError, tarfile.TarError) as error:
        what = f"{shard}: no shard that can be read ({reason_of(error)})"
        raise ShardsError(what) from error


def load_reader() -> Callable[..., Iterator[dict[str, Any]]]:
    """Return webdataset's tar reader.

    Raises:
        ShardsError: the package webdataset is missing.
    """
    try:
        from webdataset.tariterators import tar_file_expander
    except ImportError as error:
        raise ShardsError("webdataset: not installed", 'pip install -e ".[shards]"') from error
    return tar_file_expander


def stream(shards: list[Path]) -> Iterator[tuple[Path, bytes]]:
    """Stream shards one after the other, each from beginning to end.

    Yields:
        Each photograph's path, as `Member.path`, and its content.

    Raises:
        ShardsError: a shard is no longer what it was, or webdataset is missing.
    """
    read = load_reader()

    def is_wanted(name: str) -> bool:
        return is_photo_name(Path(name))

    for shard in shards:
        try:
            with shard.open("rb") as file:
                source = {"url": str(shard), "stream": file}
                for entry in read(iter([source]), select_files=is_wanted, eof_value=None):
                    yield shard / entry["fname"], entry["data"]
        except (OSError, tarfile.TarError) as error:
            raise ShardsError(f"{shard}: cannot be read any more ({error})") from error


def decode(content: bytes, side: int) -> Tensor:
    """Decode a photograph.

    Args:
        content: the file's.
        side: pixels to which the shortest side of a larger photograph is reduced.

    Returns:
        rgb (3, H, W) uint8.

    Raises:
        PhotoError: it cannot be read.
    """
    image = read_rgb(io.BytesIO(content), shortest_side=side)
    return torch.from_numpy(np.array(image)).movedim(-1, 0)


@dataclass(frozen=True)
class Shards(Sequence[Tensor]):
    """Photographs in shards, each (3, H, W) uint8, decoded at each access.

    members: which ones.
    side: pixels to which the shortest side of larger photographs is reduced.
    """

    members: list[Member]
    side: int

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, index: int) -> Tensor:  # type: ignore[override]  # no slices
        member = self.members[index]
        with member.shard.open("rb") as file:
            file.seek(member.start)
            return decode(file.read(member.size), self.side)
