"""The outcome of a photograph or film: as a line of JSON, and as the rows of a report."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

from colourizer import __version__
from colourizer.inference.output_plan import Job
from colourizer.inference.reruns import address_of
from colourizer.record.row import (
    COMPARISON,
    CONFIDENCE,
    DEFAULT,
    EXISTS_ALREADY,
    VARIANTS,
    Row,
    Settings,
)
from colourizer.runtime.atomic_file import PartFile
from colourizer.storage.address import Location
from colourizer.storage.files import StoredFile

COLOURIZED_BEFORE = "a result of this program"  # a reason why a photograph is skipped


@dataclass
class Outcome:
    """The outcome of a photograph or film."""

    source: Location
    result: str  # colourized, skipped, failed, or stopped before its end
    files: list[Location] = field(default_factory=list)
    reason: str = ""
    note: str = ""  # what is wrong with the file, though it was colourized
    hints: list[str] = field(default_factory=list)
    seconds: float = 0.0
    disk_full: bool = False
    login_expired: bool = False
    job: Job | None = None
    settings: Settings | None = None  # of the first variant
    match: float | None = None  # the share that the reference matches, if there is one
    frames: int = 0  # of a film, that were coloured
    converted: list[str] = field(default_factory=list)  # what is not as it was in the file
    # SHA-256 and bytes of the photograph, and of the files; if they are computed. Of files that
    # were there, and of which a report has no hashes, they are in `found`.
    source_hash: tuple[str, int] = "", 0
    hashes: dict[Location, tuple[str, int]] = field(default_factory=dict)
    found: dict[Location, tuple[str, int]] = field(default_factory=dict)
    found_settings: Settings | None = None  # that they were made with, of the first variant
    modified: int | None = None  # a local photograph's time, in nanoseconds since 1970
    # Files that are written but not yet flushed to disk and renamed.
    parts: list[tuple[Location, PartFile | StoredFile]] = field(default_factory=list)

    def as_json(self) -> str:
        """Return it as one line of JSON."""
        row: dict[str, Any] = {"source": str(self.source), "result": self.result}
        row |= {"files": [str(path) for path in self.files], "seconds": round(self.seconds, 3)}
        if self.match is not None:
            row["reference_match"] = round(self.match, 3)
        said = {"reason": self.reason, "note": self.note}
        return json.dumps(row | {name: text for name, text in said.items() if text})


def make_rows(outcome: Outcome) -> list[Row]:
    """Return a row for each file that was written or found; or one that says why none was."""
    job, settings = outcome.job, outcome.settings or DEFAULT
    shared = Row(
        source=address_of(outcome.source),
        output=address_of(job.coloured[0]) if job else "",
        result=outcome.result,
        reason=outcome.reason,
        note=outcome.note,
        source_sha256=outcome.source_hash[0],
        source_bytes=outcome.source_hash[1],
        converted="; ".join(outcome.converted),
        reference_match=None if outcome.match is None else round(outcome.match, 3),
        seconds=round(outcome.seconds, 3),
        version=__version__,
        settings=settings,
    )
    written = replace(shared, result="colourized", reason="")
    reason = outcome.reason if outcome.result == "skipped" else EXISTS_ALREADY
    was_there = replace(
        shared, result="skipped", reason=reason, settings=outcome.found_settings or DEFAULT
    )
    files = dict.fromkeys(outcome.files, written) | dict.fromkeys(outcome.found, was_there)
    if job is None or not files:
        return [shared]
    beside = {job.confidence: CONFIDENCE, job.sheet: VARIANTS, job.compared: COMPARISON}
    hashes = outcome.hashes | outcome.found
    rows = []
    for path, row in files.items():
        sha256, size = hashes.get(path, ("", 0))
        row = replace(row, output=address_of(path), output_sha256=sha256, output_bytes=size)
        if path in beside:
            row = replace(row, picture=beside[path])
        elif row.settings != DEFAULT:
            variant = job.coloured.index(path) + 1
            row = replace(row, settings=replace(row.settings, variant=variant))
        rows.append(row)
    if outcome.result not in ("colourized", "skipped"):  # one of several could not be written
        missing = [path for path in job.targets() if path not in files]
        rows += [replace(shared, output=address_of(path)) for path in missing[:1]]
    return rows
