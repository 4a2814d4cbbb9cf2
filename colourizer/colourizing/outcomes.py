"""Outcomes of photographs and films, while a run of colourize.py lasts: printed and recorded."""

from collections.abc import Iterable

from colourizer.colourizing.summary import Summary, is_counted
from colourizer.inference.outcome import Outcome, make_rows
from colourizer.record.report import Report
from colourizer.runtime.cli import list_hints, print_error, print_note, print_result
from colourizer.runtime.errors import reason_of
from colourizer.storage.connection import StorageError


def report_outcomes(
    outcomes: Iterable[Outcome], summary: Summary, as_json: bool, report: Report | None
) -> None:
    """Print each outcome as soon as it is there, and add it to the summary and the report.

    Args:
        outcomes: of the photographs and films.
        summary: is added to.
        as_json: whether lines of JSON are printed.
        report: gets rows, until it cannot be written; or None.
    """
    for outcome in outcomes:
        summary.add(outcome)
        print_outcome(outcome, as_json)
        try:
            if report:
                report.write(*make_rows(outcome))
        except (OSError, StorageError) as error:
            what = f"--report: cannot be written ({reason_of(error)})"
            print_error(what, *list_hints(error))
            summary.counts["failed"] += 1
            report = None


def print_outcome(outcome: Outcome, as_json: bool) -> None:
    """Print the files that were written, or a line of JSON, and what is to be said of them."""
    if outcome.result == "failed":
        print_error(f"{outcome.source}: {outcome.reason}", *outcome.hints)
    elif outcome.result == "skipped" and not is_counted(outcome):
        print_note(f"skipped: {outcome.source}: {outcome.reason}")
    if outcome.note:
        print_note(f"note: {outcome.source}: {outcome.note}")
    if as_json:
        print_result(outcome.as_json())
    else:
        for path in outcome.files:
            print_result(path)
