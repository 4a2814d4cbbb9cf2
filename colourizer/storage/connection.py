"""fsspec's file systems, each opened once in a process; their errors in words."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from colourizer.storage.address import Address, hide_credentials

INSTALL = "pip install 'image-colourizer[cluster]'"
S3 = "s3://"
# A store that is asked for too much refuses for a while; AWS_RETRY_MODE and AWS_MAX_ATTEMPTS win.
S3_RETRIES = {"mode": "standard", "max_attempts": 10}
S3_CONNECTIONS = 64  # of a process, at most
CREDENTIALS = {  # how a storage's library finds them
    "s3://": "aws configure, or AWS_PROFILE, or the role of the machine",
    "gs://": "gcloud auth application-default login",
    **dict.fromkeys(
        ("az://", "abfs://", "abfss://"), "AZURE_STORAGE_ACCOUNT_NAME and a key, a token or a login"
    ),
}


ARCHIVES = ("zip://", "tar://")
ADDRESS_HINT = "an address is s3://BUCKET/FOLDER; aws s3 ls lists the buckets"


class StorageError(Exception):
    """A storage refuses, or does not answer; notes hold hints. The message names no address."""

    def __init__(self, what: str, *hints: str) -> None:
        super().__init__(what)
        for hint in hints:
            self.add_note(f"hint: {hint}")


class NoSuchFileError(StorageError):
    """There is nothing at an address."""


class NoSuchBucketError(NoSuchFileError):
    """Not even the bucket is there."""

    def __init__(self) -> None:
        super().__init__("no such bucket", ADDRESS_HINT)


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
    storage = _open(address.scheme, host, address.archive)
    return storage, storage._strip_protocol(address.scheme + address.path)


@lru_cache(maxsize=64)
def _open(scheme: str, host: str, archive: str) -> Any:
    protocol = scheme.removesuffix("://")
    try:
        import fsspec
        from fsspec.asyn import AsyncFileSystem

        kind = fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        # fsspec's: Please install gcsfs to ..., or: SFTPFileSystem requires "paramiko" to be ...
        said = re.search(r'(?:nstall |requires ")(\w+)', str(error))
        package = said[1] if said else "fsspec"
        hint = INSTALL if package in ("fsspec", "s3fs") else f"pip install {package}"
        raise StorageError(f"{scheme} needs the package {package}", hint) from error
    except ValueError as error:
        raise StorageError(f"no storage is known by {scheme}") from error
    # Listings are not kept: they would grow with the archive, and grow old.
    options: dict[str, Any] = {}
    if issubclass(kind, AsyncFileSystem):
        options["use_listings_cache"] = False
    if scheme == S3:
        options["config_kwargs"] = {"max_pool_connections": S3_CONNECTIONS}
        if not {"AWS_RETRY_MODE", "AWS_MAX_ATTEMPTS"} & os.environ.keys():
            options["config_kwargs"]["retries"] = S3_RETRIES
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
        if "bucket does not exist" in str(error):  # S3's words
            raise NoSuchBucketError from error
        raise NoSuchFileError("no such file") from error
    except PermissionError as error:
        said = getattr(error, "strerror", None) or str(error)
        raise StorageError(f"access denied ({_first_line(said)})", *hints) from error
    except Exception as error:
        if type(error).__name__ in ("NoCredentialsError", "DefaultCredentialsError"):
            raise StorageError("no credentials were found", *hints) from error
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise StorageError(_first_line(said)) from error


def _first_line(text: str) -> str:
    first, *others = text.strip().splitlines() or [""]
    return hide_credentials(" ".join((first, *others[:1])) if first.endswith(":") else first)
