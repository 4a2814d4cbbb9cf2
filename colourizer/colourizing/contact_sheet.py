"""The contact sheet of --compare: where it lies, and what is said if it cannot be written."""

from pathlib import Path
from typing import cast

from colourizer.inference.output_plan import CONTACT_SHEET, Job, contact_sheet_path
from colourizer.inference.side_pictures import write_contact_sheet
from colourizer.photos.errors import PhotoError
from colourizer.runtime.cli import print_error
from colourizer.runtime.errors import reason_of
from colourizer.storage.address import Location
from colourizer.storage.connection import StorageError


def make_contact_sheet(jobs: list[Job], output: Location, compared: list[Location]) -> bool:
    """Write the contact sheet of --compare; print an error and return False if that fails.

    Args:
        jobs: those of a local folder; none if they were streamed.
        output: the folder of all results.
        compared: the pictures.
    """
    path = output / CONTACT_SHEET
    if jobs:
        path = contact_sheet_path({cast(Path, job.coloured[0]).parent for job in jobs})
    try:
        write_contact_sheet(path, compared)
    except (OSError, PhotoError, StorageError) as error:
        print_error(f"{path}: {reason_of(error)}")
        return False
    return True
