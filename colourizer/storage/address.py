"""Address: a file or folder in a storage that fsspec opens, with a path's names and joins."""

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import cast

SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
LOCAL = ("file://", "local://")
CHAINED = "::"  # fsspec's: stands between a file in an archive and the archive
# Two schemes of one storage: a file in it has one address.
ALIASES = {"s3a://": "s3://", "gcs://": "gs://", "ssh://": "sftp://"}
WITHOUT_ARCHIVES = ("s3://", "gs://", "sftp://", "memory://")  # there :: may stand in a name
AUTHORITY = re.compile(r"([a-z][a-z0-9+.-]*://)([^/\s]*@)", re.IGNORECASE)
QUERY = re.compile(r"(https?://[^\s?]*)\?[^\s'\")]*", re.IGNORECASE)
WEB = ("http://", "https://")
# Where an @ stands in a name; in abfs it stands between container and account.
NAMES_WITH_AT = ("memory://", "zip://", "tar://")
CONTAINER_AT = ("abfs://", "abfss://", "wasb://", "wasbs://")


@dataclass(frozen=True, slots=True)
class Address:
    """A file or folder in a storage: s3://bucket/folder/file, zip://file::s3://bucket/archive.zip.

    As text it has no user name, password or query: these may be secret.

    scheme: s3:// and the like.
    path: what follows, without a / at its end.
    archive: the address of the archive that it lies in, as fsspec takes it; or nothing.
    """

    scheme: str
    path: str
    archive: str = ""

    def __str__(self) -> str:
        return hide_credentials(self.url)

    def __repr__(self) -> str:
        return f"Address({str(self)!r})"

    @property
    def url(self) -> str:
        """The whole address, as fsspec takes it; it may hold a password."""
        return self.scheme + self.path + (CHAINED + self.archive if self.archive else "")

    @property
    def name(self) -> str:
        """The last part of its path; on the web without the query, which may be secret."""
        return self._path_of_file().rpartition("/")[2]

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return PurePath(self.name).stem

    @property
    def suffix(self) -> str:
        """The name's end from the last dot on."""
        return PurePath(self.name).suffix

    @property
    def parent(self) -> "Address":
        """The folder that it lies in."""
        return replace(self, path=self._path_of_file().rpartition("/")[0])

    def _path_of_file(self) -> str:
        return self.path.partition("?")[0] if self.scheme in WEB else self.path

    def with_name(self, name: str) -> "Address":
        """Return an address in the same folder."""
        return self.parent / name

    def without_credentials(self) -> "Address":
        """Return the same file's address as it is printed; it may not open it."""
        return cast("Address", parse_location(str(self)))

    def __truediv__(self, below: str | PurePath) -> "Address":
        text = below.as_posix() if isinstance(below, PurePath) else below
        if text in ("", "."):
            return self
        return replace(self, path=f"{self.path}/{text}" if self.path else text)

    def relative_to(self, folder: "Address") -> str:
        """Return its path below a folder that it lies in.

        Raises:
            ValueError: it does not lie there.
        """
        start = f"{folder.path}/" if folder.path else ""
        same = (self.scheme, self.archive) == (folder.scheme, folder.archive)
        if not (same and self.path.startswith(start)):
            raise ValueError(f"{self} is not below {folder}")
        return self.path[len(start) :]


Location = Path | Address


def parse_location(text: str) -> Location:
    """Return the Address of a text with a scheme such as s3://, else the Path.

    The path of a local archive becomes absolute, as those of files do in reports and on clusters.
    """
    found = SCHEME.match(text)
    if not found:
        return Path(text)
    scheme, rest = found[0].lower(), text[found.end() :]
    scheme = ALIASES.get(scheme, scheme)
    path, _, archive = (rest, "", "") if scheme in WITHOUT_ARCHIVES else rest.partition(CHAINED)
    if scheme in LOCAL and not archive:
        return Path(path)
    *outer, last = archive.split(CHAINED)
    if last and not SCHEME.match(last):
        archive = CHAINED.join((*outer, os.path.abspath(last)))  # noqa: PTH100 - of any text
    return Address(
        scheme, path.strip("/") if scheme in NAMES_WITH_AT else path.rstrip("/"), archive
    )


def hide_credentials(text: str) -> str:
    """Return a text in which addresses have no user names, passwords and queries."""

    def bare(found: re.Match[str]) -> str:
        scheme = found[1].lower()
        is_name = scheme in NAMES_WITH_AT or (scheme in CONTAINER_AT and ":" not in found[2])
        return found[0] if is_name else found[1]

    return QUERY.sub(r"\1", AUTHORITY.sub(bare, text))
