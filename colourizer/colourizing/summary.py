"""Outcomes of a run of colourize.py: printed and counted, and summed up in its last lines."""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from colourizer.inference.matches import ReferenceMatches
from colourizer.inference.outcome import COLOURIZED_BEFORE, Outcome, make_rows
from colourizer.inference.output_plan import OutputOptions
from colourizer.inference.side_pictures import SpacedSample
from colourizer.record.report import Report
from colourizer.record.row import EXISTS_ALREADY
from colourizer.runtime.cli import list_hints, print_error, print_note, print_result
from colourizer.runtime.errors import reason_of
from colourizer.storage.connection import StorageError

MAX_REASONS = 5  # why photographs were skipped, that are printed


@dataclass
class Pace:
    """How fast a run is; its films come after its photographs.

    begun, photos_ended: in seconds of `time.monotonic`.
    photos, frames: how many were coloured.
    """

    begun: float = field(default_factory=time.monotonic)
    photos_ended: float = 0.0
    photos: int = 0
    films: int = 0
    frames: int = 0

    def add(self, outcome: Outcome) -> None:
        """Add the outcome of a photograph or film."""
        if outcome.job and outcome.job.is_film:
            self.films += 1
            self.frames += outcome.frames
        else:
            self.photos += outcome.result == "colourized"
            self.photos_ended = time.monotonic()

    def describe(self) -> str:
        """Return it in words."""
        films_begun = max(self.begun, self.photos_ended)
        rates = []
        if self.photos or not self.films:
            rates.append(f"{self.photos / max(films_begun - self.begun, 1e-9):.3g} photos/s")
        if self.films:
            rates.append(f"{self.frames / max(time.monotonic() - films_begun, 1e-9):.3g} frames/s")
        return ", ".join(rates)


def report_outcomes(
    outcomes: Iterable[Outcome],
    counts: Counter[str],
    as_json: bool,
    report: Report | None,
    matches: ReferenceMatches,
    compared: SpacedSample,
    pace: Pace,
) -> bool:
    """Print and count the outcome of each photograph; return whether the disk is full.

    Args:
        outcomes: of the photographs.
        counts: is added to.
        as_json: whether lines of JSON are printed.
        report: gets rows.
        matches: gets how much of each is like the reference.
        compared: gets the pictures of --compare.
        pace: gets each outcome.
    """
    disk_full = False
    for outcome in outcomes:
        pace.add(outcome)
        counts[outcome.result] += 1
        counted = outcome.reason.startswith((EXISTS_ALREADY, COLOURIZED_BEFORE))
        if counted:  # one line for all of them
            counts[outcome.reason] += 1
        disk_full |= outcome.disk_full
        if outcome.result == "colourized":
            matches.add(str(outcome.source), outcome.match)
        if (job := outcome.job) and not job.is_film and outcome.result in ("colourized", "skipped"):
            compared.add(job.compared)
        if outcome.result == "failed":
            print_error(f"{outcome.source}: {outcome.reason}", *outcome.hints)
        elif outcome.result == "skipped" and not counted:
            print_note(f"skipped: {outcome.source}: {outcome.reason}")
        if outcome.note:
            print_note(f"note: {outcome.source}: {outcome.note}")
        if as_json:
            print_result(outcome.as_json())
        else:
            for path in outcome.files:
                print_result(path)
        try:
            if report:
                report.write(*make_rows(outcome))
        except (OSError, StorageError) as error:
            what = f"--report: cannot be written ({reason_of(error)})"
            print_error(what, *list_hints(error))
            counts["failed"] += 1
            report = None
    return disk_full


def print_skipped(counts: Counter[str], outputs: OutputOptions) -> None:
    """Print how many photographs were skipped since they are there already, by the reason."""
    reasons = [reason for reason in counts if reason.startswith(EXISTS_ALREADY)]
    for reason in sorted(reasons, key=counts.__getitem__, reverse=True)[:MAX_REASONS]:
        how = "--overwrite" if reason == EXISTS_ALREADY else "--update"
        where = reason.replace(EXISTS_ALREADY, f"{EXISTS_ALREADY} in {outputs.output}", 1)
        print_note(f"hint: skipped: {counts[reason]} {where}; {how} does them again")
    if len(reasons) > MAX_REASONS:
        print_note("hint: skipped: others, for more reasons; --report holds all of them")


def print_left_out(left_out: Counter[str]) -> None:
    """Print how many files seem photographs but are not coloured, a line for each reason."""
    for reason, count in sorted(item for item in left_out.items() if item[0]):
        print_note(f"left out: {count} {'file' if count == 1 else 'files'} {reason}")
