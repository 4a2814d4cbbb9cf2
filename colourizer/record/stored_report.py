"""A report in a storage: fetched, sent in parts while it grows, and whole in the end."""

import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

from colourizer.record.report import Report, ReportError, journal_of
from colourizer.record.row import Row
from colourizer.runtime.cli import print_note
from colourizer.runtime.parallel import map_ordered
from colourizer.storage.address import Address
from colourizer.storage.connection import (
    AccessDeniedError,
    FullDiskError,
    NoSuchFileError,
    StorageError,
)
from colourizer.storage.files import (
    check_writable,
    fetch_copy,
    find_kind,
    full_disk_errors,
    read_bytes,
    remove_files,
    send_file,
    stat_file,
    write_whole,
)
from colourizer.storage.listing import iterate_files

SEND_SECONDS = 10.0  # a killed process loses the rows of so long a time, at most
PARTS = ".parts"  # ends the name of the folder beside a report that holds rows not yet in it
READING_THREADS = 16


def parts_folder(address: Address) -> Address:
    """Return the folder for the parts of a report: files of JSON lines, named by their time."""
    return address.with_name(address.name + PARTS)


def fetch_report(address: Address, folder: Path) -> tuple[Path, list[Address]]:
    """Copy a report to a local folder, with the rows of parts that a killed run has left.

    Returns:
        Where the copy is, if there is a report; and the parts, the oldest one first.

    Raises:
        ReportError: it is a folder.
        StorageError: it cannot be read.
        FullDiskError: there is no room for it.
    """
    if find_kind(address) == "directory":
        raise ReportError(address, "is a folder", "name a file in it")
    path = fetch_copy(address, folder)
    try:
        listed = [file.address for file in iterate_files(parts_folder(address))]
    except NoSuchFileError:
        listed = []
    parts: list[Address] = []
    for part, rows in map_ordered(listed, read_bytes, READING_THREADS, 2 * READING_THREADS):
        if isinstance(rows, NoSuchFileError):  # another run has put them into the report
            continue
        if isinstance(rows, Exception):
            raise rows
        with full_disk_errors(folder), journal_of(path).open("ab") as journal:
            journal.write(rows)
        parts.append(part)
    return path, parts


def _find_version(address: Address) -> tuple[int, int] | None:
    """Return a file's size and time; None if there is none."""
    with suppress(NoSuchFileError):
        return stat_file(address)
    return None


class StoredReport(Report):
    """A report in a storage that rows are added to: a local one, whose rows are sent as they come.

    They go to the storage in parts, each a file of its own, since an object store adds to no file.
    `close` sends the report whole, and removes the parts; without it, the next run does. It leaves
    parts only, if another run has sent the report meanwhile, of whose rows this one does not know.
    """

    def __init__(self, address: Address, folder: Path) -> None:
        """Open a report, or begin one.

        Args:
            address: of the report.
            folder: a local one for the copy, empty.

        Raises:
            ReportError: it is not a report, or needs a package that is not installed.
            StorageError: its storage does not give it, or takes no files.
            OSError: the copy cannot be written.
        """
        self._address, self._version = address, _find_version(address)
        self._copy, self._parts = fetch_report(address, folder)
        check_writable(address.parent)
        try:
            super().__init__(self._copy)
        except ReportError as error:
            raise error.of(address) from error
        self._sent = self._journal.stat().st_size
        self._ended = Event()
        self._sender = Thread(target=self._send_regularly, daemon=True)
        self._sender.start()

    def write(self, *rows: Row) -> None:
        """Add rows, as Report does.

        Raises:
            FullDiskError: there is no room for them.
        """
        with full_disk_errors(self._copy.parent):
            super().write(*rows)

    def close(self) -> None:
        """Keep the last row for each scan and output, and send the report if it has changed.

        Raises:
            StorageError: it cannot be sent; a note says where it is kept.
            FullDiskError: there is no room for it; parts of it have been sent.
        """
        self._ended.set()
        self._sender.join()
        try:
            with full_disk_errors(self._copy.parent):
                self._send()
        except FullDiskError:
            raise
        except StorageError as error:
            kept = Path(tempfile.mkdtemp(prefix="colourizer-report-"), self._copy.name)
            shutil.copyfile(self._copy, kept)
            error.add_note(f"hint: it is kept as {kept}; copy it there")
            raise

    def _send(self) -> None:
        try:
            self._send_part()  # so that parts, which are read after the report, hold all rows
        finally:
            super().close()
        if _find_version(self._address) != self._version:
            print_note(f"note: {self._address}: another run has written to it; rows of both count")
        elif self._is_changed or self._parts or not self._version:
            send_file(self._copy, self._address)
            with suppress(AccessDeniedError):  # they are read after the report, and say the same
                remove_files(parts_folder(self._address), self._parts)

    def _send_regularly(self) -> None:
        while not self._ended.wait(SEND_SECONDS):
            with suppress(StorageError):  # they are sent with the next ones
                self._send_part()

    def _send_part(self) -> None:
        with self._journal.open("rb") as file:
            file.seek(self._sent)
            rows = file.read()
        rows = rows[: rows.rfind(b"\n") + 1]  # another thread may be writing the last one
        if rows:
            part = parts_folder(self._address) / f"{time.time_ns():020}.jsonl"
            write_whole(part, rows)
            self._parts.append(part)
            self._sent += len(rows)
