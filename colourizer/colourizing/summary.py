"""The last lines of a run of colourize.py: how many, how fast, what was skipped and left out."""

import time
from collections import Counter
from dataclasses import dataclass, field

from colourizer.inference.matches import ReferenceMatches
from colourizer.inference.outcome import COLOURIZED_BEFORE, Outcome
from colourizer.inference.side_pictures import SHEET_PHOTOS, SpacedSample
from colourizer.inference.stream_listing import Listing
from colourizer.record.row import EXISTS_ALREADY
from colourizer.runtime.cli import print_error, print_note
from colourizer.storage.address import Location

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


@dataclass
class Summary:
    """What became of the photographs and films of a run.

    counts: of the outcomes, by result, and by reason of those that `is_counted`.
    pace: how fast it was.
    matches: how much of each is like the reference.
    compared: pictures of --compare, for the contact sheet.
    disk_full: whether there was no room for a file.
    """

    counts: Counter[str]
    pace: Pace = field(default_factory=Pace)
    matches: ReferenceMatches = field(default_factory=ReferenceMatches)
    compared: SpacedSample = field(default_factory=lambda: SpacedSample(SHEET_PHOTOS))
    disk_full: bool = False

    def add(self, outcome: Outcome) -> None:
        """Add the outcome of a photograph or film."""
        self.pace.add(outcome)
        self.counts[outcome.result] += 1
        if is_counted(outcome):
            self.counts[outcome.reason] += 1
        self.disk_full |= outcome.disk_full
        if outcome.result == "colourized":
            self.matches.add(str(outcome.source), outcome.match)
        if (job := outcome.job) and not job.is_film and outcome.result in ("colourized", "skipped"):
            self.compared.add(job.compared)


def is_counted(outcome: Outcome) -> bool:
    """Return whether a reason is said once for all photographs that have it, with their number."""
    return outcome.reason.startswith((EXISTS_ALREADY, COLOURIZED_BEFORE))


def print_summary(summary: Summary, speed: str, listing: Listing, output: Location) -> None:
    """Print the last lines of a run.

    Args:
        summary: of the outcomes.
        speed: of the run, in words.
        listing: what was left out.
        output: the folder of all results.
    """
    counts = summary.counts
    done = ", ".join(f"{counts[result]} {result}" for result in ("colourized", "skipped", "failed"))
    print_note(f"{done} ({speed})")
    print_note(*summary.matches.describe())
    print_left_out(listing.left_out)
    if summary.disk_full:
        hint = "make room and run this again; it goes on there"
        print_error(f"{output}: the disk is full", hint)
    print_skipped(counts, output)
    if counts[COLOURIZED_BEFORE]:
        what = f"{counts[COLOURIZED_BEFORE]} in colour already, as results of this program"
        print_note(f"hint: skipped: {what}; name one itself to colourize it again")


def print_skipped(counts: Counter[str], output: Location) -> None:
    """Print how many photographs were skipped since they are there already, by the reason."""
    reasons = [reason for reason in counts if reason.startswith(EXISTS_ALREADY)]
    for reason in sorted(reasons, key=counts.__getitem__, reverse=True)[:MAX_REASONS]:
        how = "--overwrite" if reason == EXISTS_ALREADY else "--update"
        where = reason.replace(EXISTS_ALREADY, f"{EXISTS_ALREADY} in {output}", 1)
        print_note(f"hint: skipped: {counts[reason]} {where}; {how} does them again")
    if len(reasons) > MAX_REASONS:
        print_note("hint: skipped: others, for more reasons; --report holds all of them")


def print_left_out(left_out: Counter[str]) -> None:
    """Print how many files seem photographs but are not coloured, a line for each reason."""
    for reason, count in sorted(item for item in left_out.items() if item[0]):
        print_note(f"left out: {count} {'file' if count == 1 else 'files'} {reason}")
