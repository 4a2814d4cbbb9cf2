"""The report of --report, a path or an address: opened to add to, read, and closed."""

from collections import Counter
from contextlib import ExitStack, suppress
from typing import cast

from colourizer.record.report import Report, ReportError, read_rows
from colourizer.record.row_index import RowIndex
from colourizer.record.stored_report import StoredReport, fetch_report
from colourizer.runtime.cli import UsageError, list_hints, print_error
from colourizer.runtime.errors import reason_of
from colourizer.runtime.temporary_folder import temporary_folder
from colourizer.storage.address import Address, Location
from colourizer.storage.connection import StorageError


def open_report(place: Location | None, stack: ExitStack, counts: Counter[str]) -> Report | None:
    """Open the report to add to. The stack closes it.

    Args:
        place: where it is, or will be; None if there is none.
        stack: of the run.
        counts: of outcomes; a failure is added if it cannot be closed.

    Raises:
        UsageError: it is no report, or cannot be read or written.
    """
    if not place:
        return None
    try:
        if isinstance(place, Address):
            report: Report = StoredReport(place, temporary_folder(stack))
        else:
            report = Report(place)
    except ReportError as error:
        raise UsageError(f"--report {error}", *list_hints(error)) from error
    except StorageError as error:
        raise UsageError(f"--report {place}: {error}", *list_hints(error)) from error
    except OSError as error:
        raise UsageError(f"--report {error.filename or place}: {reason_of(error)}") from error
    stack.callback(close_report, report, place, counts)
    return report


def close_report(report: Report, place: Location, counts: Counter[str]) -> None:
    """Close the report at a place; print and count an error if that fails."""
    try:
        report.close()
    except (OSError, StorageError) as error:
        what = f"--report {place}: cannot be written ({reason_of(error)})"
        print_error(what, *list_hints(error))
        counts["failed"] += 1


def read_recorded(place: Location | None) -> RowIndex | None:
    """Return what a report says of earlier runs; None if there is no report.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        with ExitStack() as stack, suppress(FileNotFoundError):
            if isinstance(place, Address):
                return RowIndex(read_rows(fetch_report(place, temporary_folder(stack))[0]))
            return RowIndex(read_rows(place)) if place else None
    except ReportError as error:
        raise UsageError(
            f"--report {error.of(cast(Location, place))}", *list_hints(error)
        ) from error
    except (OSError, StorageError) as error:
        raise UsageError(f"--report {place}: {reason_of(error)}", *list_hints(error)) from error
    return None
