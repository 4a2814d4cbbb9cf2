"""fsspec's file systems, each opened once in a process; their errors in words."""

import logging
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from colourizer.runtime.errors import HintedError
from colourizer.storage.address import (
    CONTAINER_AT,
    NAMES_WITH_AT,
    Address,
    hide_credentials,
)

INSTALL = 'pip install -e ".[cluster]"'
S3 = "s3://"
# A store that is asked for too much refuses for a while; AWS_RETRY_MODE and AWS_MAX_ATTEMPTS win.
S3_RETRIES = {"mode": "standard", "max_attempts": 10}
S3_CONNECTIONS = 64  # of a process, at most
BAD_REQUEST = "Bad Request"  # S3's answer, in words, to one whose login has expired and to others
CREDENTIALS = {  # how a storage's library finds them
    "s3://": "aws configure, or AWS_PROFILE, or the role of the machine",
    "sftp://": "a key of ssh, or SFTP's USER:PASSWORD@ before the host",
    "gs://": "gcloud auth application-default login",
    **dict.fromkeys(
        ("az://", "abfs://", "abfss://"), "AZURE_STORAGE_ACCOUNT_NAME and a key, a token or a login"
    ),
}


ARCHIVES = ("zip://", "tar://")
THREAD_SAFE = ("memory://", "zip://")  # besides all that work by asyncio
for _library in ("gcsfs", "paramiko", "azure"):  # which would print tracebacks
    logging.getLogger(_library).addHandler(logging.NullHandler())
_logins: dict[tuple[str, str], str] = {}  # hosts as they were given with a login
_connecting = threading.RLock()
EXPIRED = re.compile(r"(token|credential|login|session)\w*\b.*\bexpired", re.IGNORECASE)
LIST_HINT = "the bucket has to permit s3:ListBucket, too"
ADDRESS_HINT = "an address is s3://BUCKET/FOLDER; aws s3 ls lists the buckets"


class StorageError(HintedError):
    """A storage refuses, or does not answer; notes hold hints. The message names no address."""


class FullDiskError(StorageError):
    """The disk for temporary files is full, which is no fault of the storage."""


class AccessDeniedError(StorageError):
    """There is no permission; S3 says so, too, of what is not there, if it may not be listed."""


class ExpiredLoginError(AccessDeniedError):
    """The login was good for a while only, as those of companies are: no file can be had now."""


class NoSuchFileError(StorageError):
    """There is nothing at an address."""


class NoSuchBucketError(NoSuchFileError):
    """Not even the bucket is there."""

    def __init__(self, scheme: str = S3) -> None:
        super().__init__("no such bucket", *([ADDRESS_HINT] if scheme == S3 else []))


def open_storage(address: Address) -> tuple[Any, str]:
    """Return the fsspec file system of an address, and the address's path in it.

    Raises:
        StorageError: there is none, or a package for it is missing.
    """
    host = address.path.partition("/")[0]
    if address.scheme == S3 and not host:
        raise StorageError("names no bucket", ADDRESS_HINT)
    if address.scheme in ARCHIVES and not address.archive:
        raise StorageError("names no archive", f"an address is {address.scheme}FOLDER::ARCHIVE")
    if "@" in host and address.scheme not in (*NAMES_WITH_AT, *CONTAINER_AT):
        _logins[address.scheme, host.rpartition("@")[2]] = host
    host = _logins.get((address.scheme, host), host)  # a report's addresses have no passwords
    is_shared = address.scheme in THREAD_SAFE or _is_async(address.scheme)
    with _connecting:  # servers drop those who connect too many at a time
        thread = 0 if is_shared else threading.get_ident()
        storage = _open(address.scheme, host, address.archive, thread)
    return storage, storage._strip_protocol(address.scheme + address.path)


def _is_async(scheme: str) -> bool:
    """Return whether threads may share a storage's connection, as those of asyncio may be."""
    try:
        import fsspec
        from fsspec.asyn import AsyncFileSystem

        return issubclass(fsspec.get_filesystem_class(scheme.removesuffix("://")), AsyncFileSystem)
    except ImportError as error:
        # fsspec's: Please install gcsfs to ..., or: SFTPFileSystem requires "paramiko" to be ...
        found = re.findall(r'"(\w+)"', str(error)) or re.findall(r"nstall (\w+)", str(error))
        packages = found or ["fsspec"]
        hint = INSTALL if packages[0] in ("fsspec", "s3fs") else f"pip install {' '.join(packages)}"
        needed = " and ".join(f"the package {package}" for package in packages)
        raise StorageError(f"{scheme} needs {needed}", hint) from error
    except ValueError as error:
        raise StorageError(f"no storage is known by {scheme}") from error


@lru_cache(maxsize=256)
def _open(scheme: str, host: str, archive: str, _thread: int) -> Any:
    # Listings are not kept: they would grow with the archive, and grow old.
    options: dict[str, Any] = {"use_listings_cache": False} if _is_async(scheme) else {}
    if scheme == S3:
        options["config_kwargs"] = {"max_pool_connections": S3_CONNECTIONS}
        if not {"AWS_RETRY_MODE", "AWS_MAX_ATTEMPTS"} & os.environ.keys():
            options["config_kwargs"]["retries"] = S3_RETRIES
    if not _is_async(scheme):
        options["skip_instance_cache"] = True  # of fsspec, which would keep lost connections
    import fsspec

    with storage_errors(scheme):
        return fsspec.url_to_fs(Address(scheme, host, archive).url, **options)[0]


def is_object_store(storage: Any) -> bool:
    """Return whether a file appears in a storage only when all of it is there."""
    from fsspec.asyn import AsyncFileSystem

    return isinstance(storage, AsyncFileSystem) or storage.protocol == "memory"


@contextmanager
def storage_errors(scheme: str) -> Iterator[None]:
    """Raise what goes wrong within it as a StorageError, in words and without credentials."""
    hints = [f"credentials: {CREDENTIALS[scheme]}"] if scheme in CREDENTIALS else []
    try:
        yield
    except StorageError:
        raise
    except FileNotFoundError as error:
        check_answered(error)
        if "bucket does not exist" in str(error):  # S3's words
            raise NoSuchBucketError from error
        raise NoSuchFileError("no such file") from error
    except UnicodeEncodeError as error:
        hint = "give it a name in UTF-8; convmv does so for a whole folder"
        raise StorageError("its name is not UTF-8, as those in a storage are", hint) from error
    except PermissionError as error:
        said = getattr(error, "strerror", None) or str(error)
        _check_login(said, hints, error)
        raise AccessDeniedError(f"access denied ({_first_line(said)})", *hints) from error
    except Exception as error:
        if type(error).__name__ in ("NoCredentialsError", "DefaultCredentialsError"):
            raise StorageError("no credentials were found", *hints) from error
        _open.cache_clear()  # the connection may be lost
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        _check_login(said, hints, error)
        if re.search("authenti|credential", said, re.IGNORECASE) or said == BAD_REQUEST:
            raise AccessDeniedError(f"access denied ({_first_line(said)})", *hints) from error
        raise StorageError(_first_line(said)) from error


def _check_login(said: str, hints: list[str], error: Exception) -> None:
    """Raise an ExpiredLoginError if that is what a storage has said; only logins have hints."""
    if hints and EXPIRED.search(said):
        raise ExpiredLoginError(f"the login has expired ({_first_line(said)})", *hints) from error


@contextmanager
def reason_asked(scheme: str, storage: Any, path: str) -> Iterator[None]:
    """Let S3 say why it refuses to look for a file.

    It answers by a number alone then, the same one for a login that has expired and for what is
    wrong with a single file. What it is asked for here has an answer in words.
    """
    try:
        yield
    except OSError as error:
        if scheme == S3 and str(error.strerror or error) == BAD_REQUEST:
            storage.call_s3("list_objects_v2", Bucket=path.partition("/")[0], MaxKeys=1)
        raise


def check_answered(error: FileNotFoundError) -> None:
    """Raise what has led to an error of fsspec's web files, if it is not that there is no file.

    Raises:
        StorageError: the server does not answer, or refuses.
    """
    cause = error.__cause__
    if type(cause).__module__.startswith("aiohttp") and getattr(cause, "status", 0) != 404:
        raise StorageError(_first_line(str(cause))) from error


def _first_line(text: str) -> str:
    first, *others = text.strip().splitlines() or [""]
    return hide_credentials(" ".join((first, *others[:1])) if first.endswith(":") else first)
