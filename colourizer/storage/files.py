"""Files in a storage: read, looked for, written whole or not at all."""

import hashlib
import io
import mimetypes
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from colourizer.runtime.atomic_file import DISK_FULL, PART
from colourizer.runtime.temporary_folder import ROOM_HINT
from colourizer.storage.address import WEB, Address, Location
from colourizer.storage.connection import (
    LIST_HINT,
    S3,
    AccessDeniedError,
    FullDiskError,
    NoSuchBucketError,
    NoSuchFileError,
    StorageError,
    check_answered,
    is_object_store,
    open_storage,
    reason_asked,
    storage_errors,
)

TIMES = ("LastModified", "last_modified", "mtime", "modified", "created")  # storages' names
LARGE, BLOCK = 100_000_000, 16_000_000  # bytes
CLOCK_STEP = 2 * 10**9  # nanoseconds: some file systems keep times in steps of two seconds


def read_bytes(address: Location, count: int | None = None) -> bytes:
    """Read a file, or its first bytes.

    Raises:
        StorageError: it cannot be read.
        OSError: it is a path, and cannot be read.
    """
    if isinstance(address, Path):
        with address.open("rb") as file:
            return file.read(-1 if count is None else count)
    with storage_errors(address.scheme):
        storage, path = open_storage(address)
        if count is not None:
            return storage.cat_file(path, start=0, end=count)
        # One request: s3fs would ask for the size, and then for ranges.
        options = {"max_concurrency": 1} if address.scheme == S3 else {}
        return storage.cat_file(path, **options)


def read_content(place: Location) -> Path | io.BytesIO:
    """Return what decoders read: a path, or the content of what lies in a storage.

    Raises:
        StorageError: it cannot be read.
    """
    return io.BytesIO(read_bytes(place)) if isinstance(place, Address) else place


@contextmanager
def open_file(place: Location, size: int = 0) -> Iterator[io.BytesIO | io.BufferedReader]:
    """Yield a file that can be read from any place; of a storage a copy in memory.

    Args:
        place: the file.
        size: in bytes, if it is known; a LARGE file of a storage is read in blocks.

    Raises:
        StorageError: it cannot be read.
        OSError: it is a path, and cannot be read.
    """
    if isinstance(place, Address) and size > LARGE:
        with storage_errors(place.scheme):
            storage, path = open_storage(place)
            file = storage.open(path, "rb", block_size=BLOCK)
            file.read = storage_errors(place.scheme)(file.read)  # not what is done with it
        with file:
            yield file
        return
    with io.BytesIO(read_bytes(place)) if isinstance(place, Address) else place.open("rb") as file:
        yield file


def stat_file(place: Location) -> tuple[int, int]:
    """Return a file's size in bytes, and its modification in nanoseconds since 1970; unknown is 0.

    Raises:
        StorageError: its storage does not say.
        OSError: it is a path, and there is nothing.
    """
    if isinstance(place, Path):
        stat = place.stat()
        return stat.st_size, stat.st_mtime_ns
    with storage_errors(place.scheme):
        storage, path = open_storage(place)
        with reason_asked(place.scheme, storage, path):
            info = storage.info(path)
    named = (info.get(name) for name in TIMES)
    time = next(filter(None, named), 0)
    return info.get("size") or 0, int(
        (time.timestamp() if isinstance(time, datetime) else float(time)) * 10**9
    )


def exists(address: Address) -> bool:
    """Return whether there is such a file.

    Raises:
        StorageError: the storage does not say. fsspec's own `exists` would return False.
    """
    with storage_errors(address.scheme):
        storage, path = open_storage(address)
        try:
            with reason_asked(address.scheme, storage, path):
                if address.scheme == S3:  # s3fs would look for a folder too: a second, dearer one
                    bucket, _, key = path.partition("/")
                    storage.call_s3("head_object", Bucket=bucket, Key=key)
                else:
                    storage.info(path)
        except FileNotFoundError as error:
            check_answered(error)
            return False
        return True


def find_kind(address: Address) -> str:
    """Return what lies at an address: "file", "directory", or nothing.

    Raises:
        StorageError: the storage does not say.
    """
    with storage_errors(address.scheme):
        storage, path = open_storage(address)
        try:
            with reason_asked(address.scheme, storage, path):
                info = storage.info(path)
            is_page = address.scheme in WEB and info.get("mimetype") == "text/html"
            return "directory" if is_page else str(info["type"])
        except FileNotFoundError as error:
            check_answered(error)
            if address.scheme == S3:
                _check_bucket(storage, path.partition("/")[0])
            return ""


def _check_bucket(storage: Any, bucket: str) -> None:
    try:
        storage.call_s3("head_bucket", Bucket=bucket)
    except FileNotFoundError as error:
        raise NoSuchBucketError from error


def write_whole(address: Address, content: bytes) -> None:
    """Write a file; whoever reads it finds all of it, what was there before, or nothing.

    Object stores make a file appear in one step, s3fs in parts of 50 MB if it is large. In others
    it is written by another name, and renamed.

    Raises:
        StorageError: it cannot be written.
    """
    options = {}
    if address.scheme == S3:  # what a browser is told that it gets
        options["ContentType"] = mimetypes.guess_type(address.name)[0] or "binary/octet-stream"
    _put(address, lambda storage, path: storage.pipe_file(path, content, **options))


def _put(address: Address, put: Callable[[Any, str], object]) -> None:
    """Call a function that writes to a path of a storage, so that a file is never incomplete."""
    with storage_errors(address.scheme):
        storage, path = open_storage(address)
        _check_writes(storage, address.scheme)
        if is_object_store(storage):
            put(storage, path)
            return
        folder = path.rpartition("/")[0]
        part = f"{folder}/{PART}{secrets.token_hex(8)}"
        try:
            storage.makedirs(folder, exist_ok=True)
            put(storage, part)
            storage.mv(part, path)
        except BaseException:
            with suppress(Exception):  # not written at all; or the connection is lost
                storage.rm_file(part)
            raise


def send_file(path: Path, address: Address) -> None:
    """Copy a local file to a storage, whole or not at all.

    Raises:
        StorageError: it cannot be written.
    """
    _put(address, lambda storage, to: storage.put_file(str(path), to))


def fetch_copy(address: Address, folder: Path) -> Path:
    """Return a path in a local folder with a copy of a file, or where one can be made.

    Raises:
        StorageError: it cannot be read.
        FullDiskError: there is no room for it.
    """
    copy = folder / address.name
    with suppress(NoSuchFileError):
        size, _ = stat_file(address)
        with storage_errors(address.scheme):
            storage, path = open_storage(address)
            with full_disk_errors(folder):
                storage.get_file(path, str(copy))
        if size and copy.stat().st_size != size:
            raise StorageError(
                f"could be read in part only ({copy.stat().st_size} of {size} bytes)"
            )
    return copy


@contextmanager
def full_disk_errors(folder: Path) -> Iterator[None]:
    """Raise that the disk of a temporary folder is full as a FullDiskError."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        # From none: it is not the disk of the results, on which no further one can be written.
        raise FullDiskError(f"the disk of {folder.parent} is full", ROOM_HINT) from None


def remove_files(folder: Address, files: Sequence[Address]) -> None:
    """Remove files of a folder, the first ones first; and the folder, if it is empty then.

    Raises:
        StorageError: one cannot be removed.
    """
    if not files:
        return
    from fsspec.core import has_magic

    with storage_errors(folder.scheme):
        storage, path = open_storage(folder)
        paths = [open_storage(file)[1] for file in files]
        # Of object stores a request for many of them; but fsspec takes * in a name for a pattern.
        if is_object_store(storage) and not any(map(has_magic, paths)):
            storage.rm(paths)
            return
        for each in paths:
            storage.rm_file(each)
        with suppress(Exception):  # it holds others
            storage.rmdir(path)


def check_writable(folder: Address) -> None:
    """Try whether files can be written to a folder; nothing is left of it.

    Of S3 an upload is begun and given up; of other object stores the bucket is looked for.

    Raises:
        StorageError: they cannot, or the storage will not say which files are there.
    """
    with storage_errors(folder.scheme):
        storage, path = open_storage(folder)
        _check_writes(storage, folder.scheme)
        if folder.scheme == S3:
            bucket, _, key = path.partition("/")
            to = {"Bucket": bucket, "Key": f"{key}/.writable".lstrip("/")}
            upload = storage.call_s3("create_multipart_upload", **to)
            storage.call_s3("abort_multipart_upload", **to, UploadId=upload["UploadId"])
            try:
                exists(folder / ".writable")
            except AccessDeniedError as error:  # S3's answer about any file that is not there
                raise AccessDeniedError("does not say which files are there", LIST_HINT) from error
        elif not is_object_store(storage):
            storage.makedirs(path, exist_ok=True)
        elif folder.scheme != "memory://":
            with suppress(PermissionError):  # it may be written to all the same
                _find_bucket(storage, path.partition("/")[0], folder.scheme)


def _check_writes(storage: Any, scheme: str) -> None:
    from fsspec.spec import AbstractFileSystem

    can_rename = is_object_store(storage) or type(storage).mv is not AbstractFileSystem.mv
    if scheme in WEB or not can_rename:
        raise StorageError("files there can only be read")


def _find_bucket(storage: Any, bucket: str, scheme: str) -> None:
    try:
        storage.info(bucket)
    except FileNotFoundError as error:
        raise NoSuchBucketError(scheme) from error


class StoredFile:
    """A file that is made in memory, then written whole: as runtime.atomic_file's PartFile."""

    def __init__(self, address: Address) -> None:
        """Take the file's address. An existing file is replaced."""
        self._address, self._content = address, b""

    def write(self, write: Callable[[BinaryIO], object]) -> None:
        """Make the file; `write` is called with it, open."""
        with io.BytesIO() as file:
            write(file)
            self._content = file.getvalue()

    def begin_flush(self) -> None:
        """Do nothing: its storage is not sent a part of it."""

    def digest(self) -> tuple[str, int]:
        """Return the SHA-256 of what was made, hexadecimal, and its size in bytes."""
        return hashlib.sha256(self._content).hexdigest(), len(self._content)

    def discard(self) -> None:
        """Forget what was made."""
        self._content = b""

    def finish(self, _modified: int | None = None) -> None:
        """Write it to the storage, whose clock gives it its time; any thread may do so.

        Raises:
            StorageError: it cannot be written.
        """
        content, self._content = self._content, b""
        write_whole(self._address, content)
