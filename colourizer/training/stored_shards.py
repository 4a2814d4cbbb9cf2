"""Tar shards in storages: each is fetched once to a folder of the cache, and read there."""

import hashlib
import shutil
from pathlib import Path
from typing import BinaryIO, cast

from colourizer.runtime.atomic_file import remove_leftovers, write_atomically
from colourizer.runtime.cli import list_hints, progress
from colourizer.storage.address import Address, parse_location
from colourizer.storage.connection import StorageError
from colourizer.storage.files import BLOCK, CLOCK_STEP, LARGE, open_file, stat_file
from colourizer.storage.listing import iterate_files
from colourizer.training.shards import ShardsError, find_shards, load_reader

FOLDER = "shards"  # in the cache


def fetch_shards(address: str, cache: Path | None) -> Path:
    """Return a local folder with the shards at an address; only new or changed ones are fetched.

    Args:
        address: of a folder, or of shards: s3://bucket/part-{000..010}.tar.
        cache: the folder that keeps them.

    Raises:
        ShardsError: there are none, they cannot be read, or there is too little room.
    """
    if cache is None:
        raise ShardsError(
            f"{address}: needs a folder that keeps the shards", "leave out --no-cache"
        )
    try:
        shards = list_stored_shards(address)
        if not shards:
            raise ShardsError(
                f"{address}: no tar shards there", "docs/training.md says how to make some"
            )
        folder = cache / FOLDER / hashlib.sha256(address.encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers([folder])
        for path in find_shards(folder):
            if path.name not in shards:
                path.unlink()
        versions = {name: stat_file(shard) for name, shard in shards.items()}
        missing = [name for name in shards if not _is_same(folder / name, versions[name])]
        needed, free = sum(versions[name][0] for name in missing), shutil.disk_usage(folder).free
        if needed > free:
            what = f"{cache}: the shards need {needed / 1e9:.3g} GB, and {free / 1e9:.3g} are free"
            raise ShardsError(what, "name another folder with --cache")
        for name in progress(missing, "fetching", unit="shard"):
            _fetch(shards[name], folder / name, *versions[name])
    except StorageError as error:
        raise ShardsError(f"{address}: {error}", *list_hints(error)) from error
    return folder


def list_stored_shards(address: str) -> dict[str, Address]:
    """Return the shards at an address by their names.

    Raises:
        ShardsError: two have one name.
        StorageError: a folder cannot be listed.
    """
    if address.endswith(".tar"):
        load_reader()  # its package brings braceexpand
        from braceexpand import braceexpand

        found = [cast(Address, parse_location(text)) for text in braceexpand(address)]
    else:
        listed = iterate_files(cast(Address, parse_location(address)))
        found = [file.address for file in listed if "/" not in file.below]
    shards: dict[str, Address] = {}
    for shard in found:
        if shard.name in shards:
            raise ShardsError(f"{address}: two shards are named {shard.name}")
        if shard.suffix == ".tar":
            shards[shard.name] = shard
    return shards


def _is_same(path: Path, version: tuple[int, int]) -> bool:
    """Return whether a local file has the size, if it is known, and the time of a stored one."""
    if not path.exists():
        return False
    (size, modified), stat = version, path.stat()
    return size in (0, stat.st_size) and abs(stat.st_mtime_ns - modified) <= CLOCK_STEP


def _fetch(shard: Address, path: Path, size: int, modified: int) -> None:
    """Copy a shard, whole or not at all.

    Raises:
        StorageError: it cannot be read.
    """

    def copy(file: BinaryIO) -> None:
        with open_file(shard, size or LARGE + 1) as stored:  # unknown, it may be large
            shutil.copyfileobj(stored, file, BLOCK)
        if size and file.tell() != size:
            raise StorageError(f"{shard.name} could be read in part only")

    write_atomically(path, copy, modified)
