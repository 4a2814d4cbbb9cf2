"""The report: rows in JSON lines or in Parquet, one for each scan and output."""

import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from colourizer.record.row import ROW_TYPES, Row, row_from_dict
from colourizer.record.row_index import DECISIVE, RowIndex, is_decisive
from colourizer.runtime.atomic_file import write_atomically
from colourizer.runtime.errors import HintedError
from colourizer.storage.address import Location

PARQUET, JOURNAL = ".parquet", ".journal"
ROW_GROUP = 50_000  # rows of a Parquet file that are written, and in memory, at a time
FLUSH_SECONDS = 5.0  # how much of a report a failing machine may lose; a failing process, nothing


class ReportError(HintedError):
    """A report that cannot be read or written; the message names it, notes hold hints."""

    def __init__(self, path: Location, what: str, *hints: str) -> None:
        super().__init__(f"{path}: {what}", *hints)
        self._what, self._hints = what, hints

    def of(self, address: Location) -> "ReportError":
        """Return the same error of a report that this one's is a copy of."""
        return ReportError(address, self._what, *self._hints)


class Report:
    """A report that rows are added to.

    Rows go to a file of JSON lines: the report itself, or, of Parquet, a journal beside it. So all
    that is done is recorded, however the process ends. `close` keeps one row for each scan and
    output, and makes Parquet of the journal; without it, the next run or reader does.
    """

    def __init__(self, path: Path) -> None:
        """Open a report, or begin one; its folder is made if it does not exist.

        Raises:
            ReportError: it is not a report, is in use, or needs a package that is not installed.
            OSError: it cannot be written.
        """
        if is_parquet(path):
            _import_parquet(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._journal = path, journal_of(path)
        self._file = _open_locked(self._journal)
        try:
            self.before = RowIndex(read_rows(path))
            _cut_torn_line(self._file)
        except BaseException:
            self._file.close()
            if is_parquet(path) and not self._journal.stat().st_size:
                self._journal.unlink()
            raise
        self._flushed, self._is_changed = time.monotonic(), False

    def write(self, *rows: Row) -> None:
        """Add rows, less those that would not count beside what is recorded.

        Raises:
            OSError: they cannot be written.
        """
        lines = [_to_line(row) for row in rows if not self._is_recorded(row)]
        if not lines:
            return
        self._is_changed = True
        self._file.write(b"".join(lines))
        self._file.flush()
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            os.fsync(self._file.fileno())
            self._flushed = time.monotonic()

    def _is_recorded(self, row: Row) -> bool:
        """Return whether a row says only that its output was left alone, and another one more."""
        before = None if is_decisive(row) else self.before.find(row.source, row.output)
        return before is not None and before.result in (row.result, *DECISIVE)

    def close(self) -> None:
        """Keep the last row for each scan and output; make Parquet of the journal.

        Raises:
            OSError: it cannot be written; the rows are still in the journal.
        """
        try:
            os.fsync(self._file.fileno())
            doubled = len(self.before) < self.before.count
            left = is_parquet(self._path) and self._file.seek(0, os.SEEK_END) > 0
            wanted = self._is_changed or doubled or left or not self._path.exists()
            if os.name == "nt":  # which replaces no file that is open
                self._file.close()
            del self.before  # as large as the index that is made now
            if wanted:
                compact(self._path)
            elif is_parquet(self._path):
                self._journal.unlink()
        finally:
            self._file.close()


def compact(path: Path) -> None:
    """Rewrite a report with one row for each scan and output; of Parquet, with its journal's rows.

    Raises:
        ReportError: it is not a report.
        OSError: it cannot be written.
    """
    index = RowIndex(read_rows(path))
    if not is_parquet(path) and len(index) == index.count:
        return
    counting = index.counting()
    rows = (row for row, counts in zip(read_rows(path), counting, strict=True) if counts)
    write = _write_parquet if is_parquet(path) else _write_lines
    write_atomically(path, lambda file: write(file, rows))
    if is_parquet(path):
        journal_of(path).unlink(missing_ok=True)


def is_parquet(path: Path) -> bool:
    """Return whether a report's suffix says that it is Parquet, not JSON lines."""
    return path.suffix.lower() == PARQUET


def journal_of(path: Path) -> Path:
    """Return the file of JSON lines that rows are added to: the report, or one beside Parquet."""
    return path.with_name(path.name + JOURNAL) if is_parquet(path) else path


def read_rows(path: Path, damaged: list[str] | None = None) -> Iterator[Row]:
    """Read the rows of a report, and of its journal, in the order in which they were written.

    There may be several for a scan and an output; see RowIndex.

    Args:
        path: the report.
        damaged: list that messages about damaged lines are appended to; without, they are errors,
            but for a last line that is not complete.

    Raises:
        ReportError: it is not a report, or needs a package that is not installed.
        OSError: it cannot be read.
    """
    if is_parquet(path) and path.exists():
        yield from _read_parquet(path)
    journal = journal_of(path)
    if is_parquet(path) and path.exists() and not journal.exists():
        return
    with journal.open("rb") as file:
        for number, line in enumerate(file, 1):
            # What wrote it was killed; zeros are left by a power cut.
            if line.startswith((b"{", b"\0")) and not line.endswith(b"\n"):
                if damaged is not None:
                    damaged.append(f"{journal}: line {number} is not complete")
                return
            try:
                yield row_from_dict(json.loads(line))
            except (ValueError, TypeError, AttributeError) as error:
                hint = "name another file with --report"
                message = ReportError(journal, f"line {number} is not a row of a report", hint)
                if damaged is None:
                    raise message from error
                damaged.append(str(message))


def _to_line(row: Row) -> bytes:
    values = {name: value for name, value in row.as_dict().items() if value not in ("", None)}
    return json.dumps(values).encode() + b"\n"


def _write_lines(file: BinaryIO, rows: Iterable[Row]) -> None:
    for row in rows:
        file.write(_to_line(row))


def _import_parquet(path: Path) -> Any:
    """Return the module pyarrow.parquet, which takes a tenth of a second to import.

    Raises:
        ReportError: it is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError:
        hint = "pip install pyarrow, or name a file that ends in .jsonl"
        raise ReportError(path, "Parquet needs the package pyarrow", hint) from None
    return pyarrow


def _write_parquet(file: BinaryIO, rows: Iterable[Row]) -> None:
    """Write rows as Parquet, a row group at a time."""
    import pyarrow as pa
    import pyarrow.parquet

    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    schema = pa.schema([(name, kinds[kind]) for name, kind in ROW_TYPES.items()])
    with pa.parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        group: list[dict[str, Any]] = []
        for row in rows:
            group.append(_escape(row.as_dict()))
            if len(group) == ROW_GROUP:
                writer.write_table(pa.Table.from_pylist(group, schema))
                group = []
        writer.write_table(pa.Table.from_pylist(group, schema))


def _read_parquet(path: Path) -> Iterator[Row]:
    pa = _import_parquet(path)
    try:
        with pa.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=ROW_GROUP):
                for values in batch.to_pylist():
                    yield row_from_dict(_unescape(values))
    except (pa.ArrowException, ValueError) as error:
        raise ReportError(path, f"is not a report in Parquet ({error})") from error


def _escape(values: dict[str, Any]) -> dict[str, Any]:
    r"""Write bytes of names that are no text as \udcXX, since Parquet holds UTF-8 only."""
    return {
        name: value.encode("utf-8", "backslashreplace").decode()
        if isinstance(value, str)
        else value
        for name, value in values.items()
    }


def _unescape(values: dict[str, Any]) -> dict[str, Any]:
    def to_surrogate(found: re.Match[str]) -> str:
        return chr(int(found[1], 16))

    return {
        name: re.sub(r"\\u(dc[89a-f][0-9a-f])", to_surrogate, value)
        if isinstance(value, str)
        else value
        for name, value in values.items()
    }


def _open_locked(path: Path) -> BinaryIO:
    """Open a file to append to it, and lock it; it is made if it does not exist.

    Raises:
        ReportError: another process has locked it.
    """
    while True:
        file = path.open("a+b")
        try:
            _lock(file)
        except BlockingIOError:
            file.close()
            raise ReportError(path, "another run writes to it", "name another file") from None
        try:
            if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                return file
        except FileNotFoundError:
            pass
        file.close()  # another process has replaced it meanwhile


def _lock(file: BinaryIO) -> None:
    try:
        import fcntl
    except ImportError:  # Windows, which replaces no file that another process has open
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # a file system without locks
        return


def _cut_torn_line(file: BinaryIO) -> None:
    """Cut off the last line of a file if it is not complete."""
    end = file.seek(0, os.SEEK_END)
    size = 1 << 12
    while True:
        start = max(0, end - size)
        file.seek(start)
        complete = file.read().rfind(b"\n")
        if complete >= 0 or not start:
            break
        size *= 2
    if start + complete + 1 != end:
        file.truncate(start + complete + 1)
    file.seek(0, os.SEEK_END)
