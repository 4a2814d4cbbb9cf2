"""A run: how photographs are coloured, and the threads, memory and errors that they share."""

import gc
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Semaphore

import torch

from colourizer.inference.album import Album
from colourizer.inference.colourizer import Colourizer
from colourizer.inference.hints import Hint
from colourizer.inference.outcome import Outcome
from colourizer.inference.output_plan import OutputOptions
from colourizer.inference.prediction import Reference
from colourizer.inference.provenance import describe_album_hints
from colourizer.photos.errors import SeveralPicturesError
from colourizer.record.row import Settings
from colourizer.record.row_index import RowIndex
from colourizer.runtime.atomic_file import DISK_FULL
from colourizer.runtime.cli import list_hints, one_line
from colourizer.runtime.interrupt import Interrupt, Stopped
from colourizer.runtime.parallel import BoundedExecutor, PixelBudget
from colourizer.runtime.process import count_cores, keep_freed_memory, raise_open_file_limit
from colourizer.storage.address import Location
from colourizer.storage.connection import ExpiredLoginError

# The pixels of photographs in memory at a time, over all threads, are at most the machine's memory
# divided by MEMORY_PER_PIXEL (bytes), or the minimum. A larger photograph is coloured alone.
MEMORY_PER_PIXEL, MIN_PIXELS_IN_FLIGHT = 64, 100_000_000
# Threads take photographs in groups, and each step for a whole group, so that the code and tables
# of that step stay in the CPU cache.
BATCHES_PER_GROUP = 4
GROUP_PIXELS = 40_000_000  # of a group of several photographs, at most
MAX_FLUSHING_GROUPS = 4  # groups whose files are being flushed to disk, each in a thread
SPARE_FILES = 100  # open besides photographs
LOG_IN = "log in again and run this again; it goes on where it stopped"
SWITCH_SECONDS = 1e-4  # Python's: how long a thread may wait for the GIL after a computation


@dataclass(frozen=True)
class ColourOptions:
    """How photographs are coloured and written.

    hints: known colours of single points, by the path of their photograph.
    reference: a colour photograph whose colours are propagated to them.
    keep_luma: keep what grey JPEGs store bit for bit.
    tag: whether their metadata say what coloured them.
    album: whether what several of them show gets the same colours.
    """

    hints: Mapping[Location, tuple[Hint, ...]] = field(default_factory=dict)
    reference: Reference | None = None
    keep_luma: bool = False
    tag: bool = True
    album: bool = False

    def settings(self, colourizer: Colourizer, path: Location, variant: int = 0) -> Settings:
        """Return what moves the colours of a photograph's variant."""
        hints, keep_luma = self.hints.get(path, ()), self.keep_luma
        made = colourizer.settings(variant, hints, self.reference, keep_luma, album=self.album)
        if not self.album:
            return made
        return replace(made, hints=describe_album_hints(self.hints, path))


@dataclass
class Run:
    """What the photographs of a run share.

    group_pixels: of a group of several photographs, at most.
    computing: free for as many threads as there are cores; others read from a storage meanwhile.
    recorded: what a report says of earlier runs; or None.
    album: what the photographs share; or None.
    cores: that are this run's.
    disk_full: set by the photograph that finds it so; no later one can be written.
    login_expired: set by the photograph that finds it so; no later one can be had.
    """

    colourizer: Colourizer
    outputs: OutputOptions
    colours: ColourOptions
    stop: Interrupt
    group_pixels: int
    budget: PixelBudget
    flusher: BoundedExecutor
    computing: Semaphore
    recorded: RowIndex | None = None
    album: Album | None = None
    cores: int = 1
    disk_full: bool = False
    login_expired: bool = False

    @property
    def ends(self) -> bool:
        """Whether the run has to end: no further photograph is begun."""
        return bool(self.stop.exit_code) or self.disk_full or self.login_expired

    def check(self) -> None:
        """Raise Stopped if the run ends."""
        if self.ends:
            raise Stopped

    def settings(self, path: Location, variant: int = 0) -> Settings:
        """Return what moves the colours of a photograph's variant."""
        return self.colours.settings(self.colourizer, path, variant)

    def provenance(self, path: Location, variant: int = 0) -> str | None:
        """Return what the metadata of a photograph's variant say; None for nothing."""
        if not self.colours.tag:
            return None
        return self.colourizer.provenance(self.settings(path, variant))


def group_size(colourizer: Colourizer) -> int:
    """Return how many photographs a thread takes at a time.

    On a GPU, batches are made across threads, so each takes one.
    """
    return BATCHES_PER_GROUP * colourizer.batch_size if colourizer.batch_size > 1 else 1


@contextmanager
def start_run(
    colourizer: Colourizer,
    outputs: OutputOptions,
    colours: ColourOptions,
    stop: Interrupt,
    threads: int,
    recorded: RowIndex | None = None,
    cores: int | None = None,
) -> Iterator[Run]:
    """Set up this process for photographs in several threads, and yield what they share.

    Args:
        colourizer: the network.
        outputs: which files are made.
        colours: how.
        stop: once it has an exit code no further photograph is begun.
        threads: that `colourize_group` will be called in.
        recorded: what a report says of earlier runs; or None.
        cores: that are this run's; by default all that this process may use.
    """
    cores = cores or count_cores()
    computing = min(threads, cores)
    # Photographs beside each other use the cores better than one photograph on all of them.
    torch.set_num_threads(max(1, cores // computing))
    sys.setswitchinterval(SWITCH_SECONDS)
    keep_freed_memory()
    gc.freeze()  # objects that exist by now are not searched for garbage again
    files_each = 1 + outputs.variants + outputs.confidence + outputs.compare
    files_each += outputs.variants > 1  # the sheet of them
    size = group_size(colourizer)
    raise_open_file_limit((threads + MAX_FLUSHING_GROUPS) * size * files_each + SPARE_FILES)
    pixels = pixels_in_flight() * cores // count_cores()
    with BoundedExecutor(MAX_FLUSHING_GROUPS) as flusher:
        group_pixels = min(GROUP_PIXELS, pixels // computing)  # each thread has its share
        yield Run(
            colourizer=colourizer,
            outputs=outputs,
            colours=colours,
            stop=stop,
            group_pixels=group_pixels,
            budget=PixelBudget(pixels),
            flusher=flusher,
            computing=Semaphore(computing),
            recorded=recorded,
            cores=cores,
        )


def pixels_in_flight() -> int:
    """Return how many pixels of photographs may be in memory at a time."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return MIN_PIXELS_IN_FLIGHT
    return max(MIN_PIXELS_IN_FLIGHT, memory // MEMORY_PER_PIXEL)


@contextmanager
def recorded_in(outcome: Outcome, run: Run) -> Iterator[None]:
    """Record errors and the time taken in a photograph's outcome; one never stops the others."""
    begun = time.monotonic()
    try:
        yield
    except SeveralPicturesError as error:
        outcome.reason = str(error)
    except Stopped:
        outcome.result, outcome.reason = "stopped", "stopped"
    except Exception as error:
        disk_full = getattr(error.__cause__ or error, "errno", 0) in DISK_FULL
        login_expired = any(
            isinstance(each, ExpiredLoginError) for each in (error, error.__cause__)
        )
        is_told = (disk_full and run.disk_full) or (login_expired and run.login_expired)
        run.disk_full |= disk_full
        run.login_expired |= login_expired
        if is_told:  # reported by another photograph
            outcome.result, outcome.reason = "stopped", "stopped"
        else:
            outcome.result, outcome.reason = "failed", one_line(str(error) or type(error).__name__)
            outcome.hints = [*list_hints(error), *([LOG_IN] if login_expired else [])]
        outcome.disk_full, outcome.login_expired = disk_full, login_expired
    outcome.seconds += time.monotonic() - begun
