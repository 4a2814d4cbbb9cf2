"""Verification: whether the outputs of a report are still what it says."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from colourizer.record.report import ReportError, read_rows
from colourizer.record.row import EXISTS_ALREADY, Row
from colourizer.record.row_index import RowIndex
from colourizer.record.stored_report import fetch_report
from colourizer.record.tag import read_tag
from colourizer.runtime.cli import list_hints, print_error, print_note, print_result, progress
from colourizer.runtime.errors import reason_of
from colourizer.runtime.parallel import map_ordered
from colourizer.runtime.process import count_cores
from colourizer.runtime.temporary_folder import temporary_folder
from colourizer.storage.address import Location, parse_location
from colourizer.storage.connection import NoSuchFileError, StorageError
from colourizer.storage.files import open_file, stat_file

# What is found of an output, in the order of the summary.
AS_RECORDED, MISSING, CHANGED = "as recorded", "missing", "changed"
OTHER_SETTINGS, UNREADABLE, UNHASHED = "made with other settings", "unreadable", "without a hash"
WRONG = (MISSING, CHANGED, OTHER_SETTINGS, UNREADABLE)


def verify_report(place: Location, as_json: bool = False) -> int:
    """Verify the outputs of a report, and print what is wrong and a summary.

    Args:
        place: the report's path or address.
        as_json: print a line of JSON for each output that is not as recorded.

    Returns:
        The exit code: 0 if all outputs are as recorded, 1 if not, 2 if the report cannot be read.
    """
    if isinstance(place, Path):
        return _verify_local(place, place, as_json)
    with ExitStack() as stack:
        try:
            path, _ = fetch_report(place, temporary_folder(stack))
        except ReportError as error:
            print_error(error)
            return 2
        except (OSError, StorageError) as error:
            print_error(f"{place}: {reason_of(error)}", *list_hints(error))
            return 2
        return _verify_local(path, place, as_json)


def _verify_local(path: Path, place: Location, as_json: bool) -> int:
    """Verify the outputs of a report on the local disk, which may be the copy of one at a place."""
    damaged: list[str] = []
    try:
        index = RowIndex(read_rows(path, damaged))
    except ReportError as error:
        print_error(error.of(place))
        return 2
    except OSError as error:
        print_error(f"{place}: {reason_of(error)}")
        return 2
    is_report = bool(index.count or not damaged)
    for message in damaged if is_report else damaged[:1]:
        print_error(message.replace(str(path), str(place), 1))
    if not is_report:
        return 2
    found, rows = Counter[str](), Counter[str]()
    counting = iter(index.counting())
    wanted = (row for row in read_rows(path, []) if next(counting))
    results = map_ordered(_written(wanted, rows), check_output, count_cores(), 100 * count_cores())
    for row, checked in progress(results, "verifying", len(index), unit="file"):
        if isinstance(checked, Exception):
            raise checked
        what, detail = checked
        found[what] += 1
        if what in WRONG:
            print_error(f"{row.output}: {detail or what}")
            if as_json:
                finding = {"source": row.source, "output": row.output, "found": what}
                print_result(json.dumps(finding | ({"detail": detail} if detail else {})))
    if any(found[what] for what in (MISSING, CHANGED, OTHER_SETTINGS)):
        print_note("hint: move away what is changed; the run's command makes again what is missing")
    kinds = (AS_RECORDED, *WRONG, UNHASHED)
    said = [f"{found[what]} {what}" for what in kinds if found[what] or what == AS_RECORDED]
    said += [f"{rows[result]} {result}, not checked" for result in sorted(rows)]
    said += [f"{len(damaged)} damaged lines"] if damaged else []
    print_note(f"{found.total()} outputs: {', '.join(said)}")
    return 1 if damaged or any(found[what] for what in WRONG) else 0


def _written(rows: Iterator[Row], others: Counter[str]) -> Iterator[Row]:
    """Yield the rows whose output was there when they were written; count the other ones."""
    for row in rows:
        if row.result == "colourized" or (row.result == "skipped" and _was_there(row)):
            yield row
        else:
            others[row.result] += 1


def _was_there(row: Row) -> bool:
    return row.reason.startswith(EXISTS_ALREADY)


def check_output(row: Row) -> tuple[str, str]:
    """Return what is found of a row's output, and more about it in words, if there is more.

    An output whose bytes have changed is made with other settings if its tag says so.
    """
    try:
        output = parse_location(row.output)
        size, _ = stat_file(output)
        if not row.output_sha256:
            return UNHASHED, ""
        with open_file(output, size) as file:
            same_size = size in (0, row.output_bytes)  # 0: it is not known
            if same_size and hashlib.file_digest(file, "sha256").hexdigest() == row.output_sha256:
                return AS_RECORDED, ""
            tag = read_tag(file)
    except FileNotFoundError:
        return MISSING, ""
    except NoSuchFileError:
        return MISSING, ""
    except StorageError as error:
        return UNREADABLE, f"cannot be read ({error})"
    except OSError as error:
        return UNREADABLE, f"cannot be read ({reason_of(error)})"
    if tag and tag.settings and (differences := tag.settings.differences(row.settings)):
        return OTHER_SETTINGS, f"made with {', '.join(differences)}"
    return CHANGED, ""
