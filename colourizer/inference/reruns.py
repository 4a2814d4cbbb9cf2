"""Reruns: which files are written of a photograph that has some already, and what is said."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from colourizer.inference.output_plan import Job, OutputOptions, Place, list_unfinished
from colourizer.record.row import DEFAULT, EXISTS_ALREADY, Settings
from colourizer.record.row_index import RowIndex
from colourizer.record.tag import read_tag
from colourizer.storage.address import Address, Location
from colourizer.storage.connection import StorageError
from colourizer.storage.files import CLOCK_STEP, open_file, stat_file


def choose_files(
    job: Job[Place],
    outputs: OutputOptions,
    settings: Callable[[int], Settings],
    recorded: RowIndex | None = None,
) -> tuple[list[Place], str]:
    """Return a job's files that are to be written, and what is said if there are none.

    Written is what is missing, with `overwrite` all; with `update` all, if a coloured file is older
    than its source, or was made with other settings. The settings are those that a report has for
    it, so that no file is opened; without, those in its tag. Of a file that has neither, nothing is
    known. Files in a storage, where each look costs, are only looked at with `update`.

    Args:
        job: the photograph.
        outputs: which files are made.
        settings: returns those of a variant.
        recorded: what a report says.

    Raises:
        PhotoError: one of the files is the photograph itself, or has no possible name.
        StorageError: a storage does not say what is there.
    """
    wanted = list_unfinished(job, outputs.overwrite)
    there = [(n, path) for n, path in enumerate(job.coloured) if path not in wanted]
    if not there or (wanted and not outputs.update):
        return wanted, ""
    is_dear = any(isinstance(path, Address) for path in (job.source, there[0][1]))
    reads_files = outputs.update or not is_dear
    for variant, path in there:
        why = ""
        with suppress(OSError, StorageError):  # what cannot be read stays as it is
            why = find_difference(job.source, path, settings(variant), recorded, reads_files)
        if why and outputs.update:
            return job.targets(), ""
        if why:
            return [], f"{EXISTS_ALREADY}, {why}"
    return wanted, "" if wanted else EXISTS_ALREADY


def find_difference(
    source: Location,
    output: Location,
    settings: Settings,
    recorded: RowIndex | None,
    reads_files: bool = True,
) -> str:
    """Return in words why a coloured file is not what would be made now; "" if it may be.

    Args:
        source: the photograph.
        output: the coloured file.
        settings: that would be used now.
        recorded: what a report says.
        reads_files: whether the files are looked at, or the report alone.

    Raises:
        OSError: one of them cannot be read.
        StorageError: one of them cannot be read.
    """
    row = recorded.find(address_of(source), address_of(output)) if recorded else None
    if reads_files:
        (size, modified), (output_size, written) = stat_file(source), stat_file(output)
        # A result in a storage, which has not its scan's time, would never be new enough for one
        # of the future, of a clock that is wrong.
        is_future = isinstance(output, Address) and modified > time.time_ns()
        if modified and written and modified > written + CLOCK_STEP and not is_future:
            return "older than its source"
        if row and row.has_hashes and size not in (0, row.source_bytes):
            return "made of another file of that name"
    if row and row.has_hashes:
        if row.settings == DEFAULT:  # it had no tag when the report was begun
            return ""
        made_with = row.settings
    elif not reads_files:
        return ""
    else:
        with open_file(output, output_size) as file:
            tag = read_tag(file)
        if tag is None:
            return ""
        made_with = tag.settings or replace(settings, network=tag.network)
    differences = made_with.differences(settings)
    return f"made with {', '.join(differences)}" if differences else ""


def address_of(path: Location) -> str:
    """Return a path or an address as a report names it."""
    return str(path) if isinstance(path, Address) else os.path.abspath(path)  # noqa: PTH100 - ten times faster
