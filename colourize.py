"""Command: put colour into black-and-white photographs and films."""

from colourizer.runtime import early_interrupt  # noqa: F401 - first: the imports take seconds

# isort: split
import io
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from colourizer.colourizing.contact_sheet import make_contact_sheet
from colourizer.colourizing.dry_run import dry_run
from colourizer.colourizing.options import Options, parse_args
from colourizer.colourizing.outcomes import report_outcomes
from colourizer.colourizing.plan import Plan, make_plan
from colourizer.colourizing.report import open_report, read_recorded
from colourizer.colourizing.summary import Summary, print_summary
from colourizer.film.film_settings import film_settings
from colourizer.film.stored_films import colourize_found_film
from colourizer.inference.album_study import AlbumError
from colourizer.inference.batch import colourize_jobs
from colourizer.inference.cluster import Task, colourize_on_cluster, join_cluster
from colourizer.inference.colourizer import Colourizer
from colourizer.inference.matches import ReferenceMatches
from colourizer.inference.outcome import Outcome
from colourizer.inference.output_plan import Job
from colourizer.inference.prediction import Reference
from colourizer.inference.readout import DEFAULT_VIVIDNESS
from colourizer.inference.run import ColourOptions
from colourizer.inference.streaming import READING_THREADS, colourize_streamed
from colourizer.network.checkpoint import CheckpointError
from colourizer.photos.errors import PhotoError
from colourizer.photos.read import read_photo
from colourizer.photos.source import hash_source
from colourizer.record.row import Settings
from colourizer.record.row_index import RowIndex
from colourizer.record.verify import verify_report
from colourizer.runtime.atomic_file import discard_part_files
from colourizer.runtime.cli import (
    UsageError,
    abandon_stdout,
    check_folder,
    list_hints,
    print_error,
    print_note,
    progress,
    run_command,
)
from colourizer.runtime.errors import reason_of
from colourizer.runtime.interrupt import PATIENCE, Interrupt
from colourizer.storage.address import Address, Location
from colourizer.storage.connection import StorageError
from colourizer.storage.files import check_writable, read_bytes, read_content


def check_output(output: Location) -> None:
    """Try whether files can be written to the output folder, or to where it would be made.

    Raises:
        UsageError: they cannot.
    """
    if isinstance(output, Address):
        try:
            check_writable(output)
        except StorageError as error:
            what = f"-o {output}: cannot be written to ({error})"
            raise UsageError(what, *list_hints(error)) from error
        return
    check_folder(output)


def load_colourizer(options: Options) -> Colourizer:
    """Load the checkpoint.

    Raises:
        CheckpointError: it cannot be used.
        UsageError: its network cannot do what is asked for.
    """
    colourizer = Colourizer.load(options.checkpoint, options.device)
    colourizer.look = options.look
    outputs = options.outputs
    vividness = options.look.vividness
    asked = outputs.confidence or outputs.variants > 1 or vividness != DEFAULT_VIVIDNESS
    asked |= options.album
    if asked and not colourizer.has_likelihoods:
        what = "its network has one answer only, and does not know how sure it is"
        hint = "leave out --vividness, --confidence, --variants and --album"
        looks = "--look warm, --look cool, --warmth and --saturation work"
        raise UsageError(f"{options.checkpoint}: {what}", hint, looks)
    return colourizer


def read_reference(path: Location, colourizer: Colourizer) -> Reference:
    """Read the photograph of --reference.

    Raises:
        UsageError: it cannot be read, or has no colours.
    """
    try:
        content = read_content(path)
        return colourizer.study_reference(read_photo(content).pixels, hash_source(content)[0])
    except (PhotoError, StorageError, ValueError) as error:
        raise UsageError(f"--reference {path}: {error}", *list_hints(error)) from error


def colourize_standard_input(
    colourizer: Colourizer, options: Options, colours: ColourOptions
) -> int:
    """Colour one photograph from standard input to standard output; return the exit code."""
    source, coloured = io.BytesIO(sys.stdin.buffer.read()), io.BytesIO()  # encoders seek
    matches = ReferenceMatches()
    try:
        match = colourizer.colourize_file(
            source,
            coloured,
            target=options.outputs.target,
            hints=[hint.hint for hint in options.hints],
            reference=colours.reference,
            keep_luma=colours.keep_luma,
            tag=options.tag,
        )
    except Exception as error:  # it cannot be read, or has no room in the format
        print_error(f"standard input: {str(error) or type(error).__name__}", *list_hints(error))
        return 1
    try:
        sys.stdout.buffer.write(coloured.getvalue())
        sys.stdout.buffer.flush()
    except OSError as error:
        abandon_stdout()
        closed = isinstance(error, BrokenPipeError)
        reason = "was closed before the photograph was written" if closed else reason_of(error)
        print_error(f"standard output: {reason}")
        return 1
    matches.add("standard input", match)
    print_note(*matches.describe())
    return 0


def colourize_plan(
    plan: Plan, colourizer: Colourizer, options: Options, colours: ColourOptions
) -> int:
    """Colour all photographs and films, and report each outcome.

    Args:
        plan: what is to be done.
        colourizer: the network.
        options: the command line.
        colours: how the photographs are coloured.

    Returns:
        The exit code.
    """
    outputs, listing = options.outputs, plan.listing
    counts = Counter({"colourized": 0, "skipped": 0, "failed": plan.failed})
    total = len(plan.jobs) if plan.stream is None else None
    with ExitStack() as stack:
        try:
            report = open_report(options.report, stack, counts)
            if options.ray:
                stack.enter_context(join_cluster(options.ray))
            summary = Summary(counts)  # its clock starts here
            stop = stack.enter_context(Interrupt(PATIENCE, discard_part_files))
            recorded = report.before if report else None
            outcomes = iterate_outcomes(plan, colourizer, options, colours, stop, recorded)
            unit = "film" if plan.jobs and all(job.is_film for job in plan.jobs) else "photo"
            shown = progress(outcomes, "colourizing", total, unit=unit)
            report_outcomes(shown, summary, options.json, report)
        except (UsageError, AlbumError) as error:
            print_error(error)
            return 2 if isinstance(error, UsageError) else 1
        speed = summary.pace.describe()
        if outputs.compare and not stop.exit_code:
            compared = summary.compared.items
            counts["failed"] += not make_contact_sheet(plan.jobs, outputs.output, compared)
    for wrong in listing.wrong:
        print_error(wrong)
    counts["failed"] += len(listing.wrong)
    print_summary(summary, speed, listing, outputs.output)
    return stop.exit_code or (1 if counts["failed"] else 0)


def iterate_outcomes(
    plan: Plan,
    colourizer: Colourizer,
    options: Options,
    colours: ColourOptions,
    stop: Interrupt,
    recorded: RowIndex | None,
) -> Iterator[Outcome]:
    """Return an iterator over outcomes that colours what is planned, here or on a cluster."""
    outputs = options.outputs
    if plan.stream is None:
        return colourize_local(plan.jobs, colourizer, options, colours, stop, recorded)
    colour_film = partial(colourize_found_film, codec=options.film_codec, hints=options.hints)
    if not options.ray:
        return colourize_streamed(
            plan.stream, colourizer, outputs, colours, stop, colour_film, recorded
        )
    task = Task(
        checkpoint=options.checkpoint.read_bytes(),
        checkpoint_name=options.checkpoint.name,
        device=options.device,
        look=options.look,
        outputs=outputs,
        colours=replace(colours, reference=None),
        reference=read_bytes(options.reference) if options.reference else None,
        colourize_film=colour_film,
        recorded=recorded,
    )
    threads = READING_THREADS if options.is_remote else 1
    return colourize_on_cluster(plan.stream, task, threads, stop)


def colourize_local(
    jobs: list[Job],
    colourizer: Colourizer,
    options: Options,
    colours: ColourOptions,
    stop: Interrupt,
    recorded: RowIndex | None,
) -> Iterator[Outcome]:
    """Colour photographs, then films; yield the outcome of each; arguments as colourize_jobs."""
    films = [job for job in jobs if job.is_film]
    disk_full = False
    photos = [job for job in jobs if not job.is_film]
    outputs = options.outputs
    for outcome in colourize_jobs(photos, colourizer, outputs, colours, stop, recorded):
        disk_full |= outcome.disk_full
        yield outcome
    if films and not disk_full:
        from colourizer.film.job import FilmRun, colourize_films, film_options  # takes PyAV

        source = films[0].source
        settings = film_settings(colourizer, colours, source, options.hints)
        how = film_options(colourizer, colours, settings, options.film_codec, options.hints)
        run = FilmRun(colourizer, outputs, how, stop, recorded=recorded)
        yield from colourize_films(films, run)


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parse_args(argv)
    if options.verify:
        return verify_report(options.verify, options.json)
    try:
        plan = Plan([]) if options.is_standard_input else make_plan(options)
        if options.dry_run and not options.outputs.update:
            return dry_run(plan, options)
        if not (options.is_standard_input or options.dry_run):
            check_output(options.outputs.output)
        recorded = read_recorded(options.report) if options.dry_run else None
        colourizer = load_colourizer(options)
        reference = read_reference(options.reference, colourizer) if options.reference else None
    except (UsageError, CheckpointError) as error:
        if str(error):
            print_error(error)
        return 2
    colours = ColourOptions(
        hints=plan.hints,
        reference=reference,
        keep_luma=options.keep_luma,
        tag=options.tag,
        album=options.album,
    )
    if options.dry_run:

        def settings(job: Job, variant: int) -> Settings:
            if job.is_film:
                return film_settings(colourizer, colours, job.source, options.hints)
            return colours.settings(colourizer, job.source, variant)

        return dry_run(plan, options, settings, recorded)
    if options.is_standard_input:
        return colourize_standard_input(colourizer, options, colours)
    return colourize_plan(plan, colourizer, options, colours)


def run() -> None:
    """Run the installed command and end the process with its exit code."""
    run_command(main)


if __name__ == "__main__":
    run()
