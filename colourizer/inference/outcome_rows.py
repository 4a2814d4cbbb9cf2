"""The rows of a report that the outcome of a photograph makes."""

from dataclasses import replace

from colourizer import __version__
from colourizer.inference.batch import Outcome
from colourizer.inference.reruns import address_of
from colourizer.record.row import COMPARISON, CONFIDENCE, DEFAULT, EXISTS_ALREADY, VARIANTS, Row


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
