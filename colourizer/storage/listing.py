"""Listing a folder of a storage: one file after another, the list is never in memory."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from colourizer.storage.address import Address
from colourizer.storage.connection import S3, open_storage, storage_errors


class Listed(NamedTuple):
    """A file, its path below the folder that was listed, and its size in bytes."""

    address: Address
    below: str
    size: int


def iterate_files(folder: Address) -> Iterator[Listed]:
    """Yield all files in a folder and in the folders below it, in a fixed order.

    Of S3 a page of 1000 is in memory at a time, of other storages one folder. Hidden files and
    folders are left out.

    Raises:
        StorageError: it cannot be listed.
    """
    with storage_errors(folder.scheme):
        storage, root = open_storage(folder)
        iterate = _iterate_s3 if folder.scheme == S3 else _iterate_folders
        for path, size in iterate(storage, root):
            below = path.removeprefix(root).removeprefix("/")
            if not is_hidden(below):
                yield Listed(folder / below, below, size)


def is_hidden(below: str) -> bool:
    """Return whether a path below a folder leads to a hidden file or through a hidden folder."""
    return any(part.startswith(".") and part.strip(".") for part in below.split("/"))


def _iterate_s3(storage: Any, root: str) -> Iterator[tuple[str, int]]:
    bucket, _, key = root.partition("/")
    options = {"Bucket": bucket, "Prefix": f"{key}/" if key else ""}
    while True:
        page = storage.call_s3("list_objects_v2", **options)
        for item in page.get("Contents", ()):
            if not item["Key"].endswith("/"):  # a folder, as some programs make them
                yield f"{bucket}/{item['Key']}", item["Size"]
        if not page.get("IsTruncated"):
            return
        options["ContinuationToken"] = page["NextContinuationToken"]


def _iterate_folders(storage: Any, folder: str) -> Iterator[tuple[str, int]]:
    entries = sorted(storage.ls(folder, detail=True), key=lambda entry: entry["name"])
    inside = f"{folder.rstrip('/')}/" if folder else ""
    # Pages of the web link to other places, too.
    entries = [entry for entry in entries if entry["name"].startswith(inside)]
    for entry in entries:
        if entry["type"] != "directory":
            yield entry["name"], entry.get("size") or 0
    for entry in entries:
        name = entry["name"].rstrip("/")
        if entry["type"] == "directory" and name != folder.rstrip("/"):
            yield from _iterate_folders(storage, name)
