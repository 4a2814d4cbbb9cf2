"""Command: put colour into black-and-white photographs and films."""

from colourizer.runtime import early_interrupt  # noqa: F401 - first: the imports take seconds

# isort: split
import argparse
import io
import itertools
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePath
from typing import cast

from colourizer.film.container import LEFT_OUT, MUXER_OF, FilmError, can_read_films, is_film_name
from colourizer.film.film_hints import FilmHint, parse_film_hint
from colourizer.film.film_settings import film_settings
from colourizer.film.stored_films import colourize_found_film, plan_film
from colourizer.inference.album_study import AlbumError
from colourizer.inference.batch import colourize_jobs
from colourizer.inference.cluster import Task, colourize_on_cluster, join_cluster
from colourizer.inference.colourizer import Colourizer
from colourizer.inference.hints import Hint, HintError
from colourizer.inference.looks import LOOKS, MAX_SATURATION, Look, choose_look
from colourizer.inference.matches import ReferenceMatches
from colourizer.inference.outcome import COLOURIZED_BEFORE, Outcome, make_rows
from colourizer.inference.output_plan import (
    CONTACT_SHEET,
    DEFAULT_OUTPUT,
    FoundPhoto,
    Job,
    OutputOptions,
    contact_sheet_path,
    find_all,
    find_jobs_named,
    is_there,
    list_unfinished,
    plan_outputs,
)
from colourizer.inference.prediction import Reference
from colourizer.inference.readout import DEFAULT_VIVIDNESS
from colourizer.inference.reruns import choose_files
from colourizer.inference.run import ColourOptions
from colourizer.inference.side_pictures import SHEET_PHOTOS, SpacedSample, write_contact_sheet
from colourizer.inference.streaming import (
    READING_THREADS,
    Listing,
    colourize_streamed,
    plan_alone,
    spell_as_listed,
    stream_photos,
)
from colourizer.inference.variants import MAX_VARIANTS
from colourizer.network.checkpoint import BUNDLED, CheckpointError
from colourizer.network.device import add_device_option
from colourizer.photos.errors import PhotoError
from colourizer.photos.files import SUFFIXES, TARGETS
from colourizer.photos.read import read_photo
from colourizer.photos.source import hash_source
from colourizer.record.report import Report, ReportError, read_rows
from colourizer.record.row import EXISTS_ALREADY, Settings
from colourizer.record.row_index import RowIndex
from colourizer.record.stored_report import StoredReport, fetch_report
from colourizer.record.verify import verify_report
from colourizer.runtime.atomic_file import discard_part_files
from colourizer.runtime.cli import (
    UsageError,
    abandon_stdout,
    check_folder,
    in_range,
    in_unit_range,
    list_hints,
    print_error,
    print_note,
    print_result,
    progress,
    run_command,
)
from colourizer.runtime.errors import reason_of
from colourizer.runtime.interrupt import PATIENCE, Interrupt
from colourizer.runtime.temporary_folder import temporary_folder
from colourizer.storage.address import Address, Location, parse_location
from colourizer.storage.connection import StorageError
from colourizer.storage.files import check_writable, read_bytes, read_content


@dataclass(frozen=True)
class Options:
    """The command line; a path of None is standard input."""

    paths: list[Location | None]
    outputs: OutputOptions
    dry_run: bool
    keep_luma: bool
    tag: bool
    device: str
    checkpoint: Path
    look: Look
    hints: tuple[FilmHint, ...]
    reference: Location | None
    album: bool
    film_codec: str | None
    json: bool
    report: Location | None
    verify: Location | None
    ray: str | None

    @property
    def named(self) -> list[Location]:
        """The paths and addresses."""
        return [path for path in self.paths if path]

    @property
    def is_remote(self) -> bool:
        """Whether files are read from or written to a storage."""
        places = (*self.named, self.outputs.output)
        return any(isinstance(place, Address) for place in places)


def path_or_stream(text: str) -> Location | None:
    """Parse a path or an address, or - as None: standard input."""
    return None if text == "-" else parse_location(text)


def hint_option(text: str) -> FilmHint:
    """Parse a hint, for argparse."""
    try:
        return parse_film_hint(text)
    except HintError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def make_parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = argparse.ArgumentParser(
        description="Put colour into black-and-white photographs and films. Prints the files it "
        "wrote.",
        epilog="exit codes: 0 all done, 1 some failed, 2 bad usage, 130 or 143 interrupted. A PATH "
        "may be an address: s3://bucket/folder, gs://, az://, sftp://, zip://.",
    )
    add = parser.add_argument
    add("paths", nargs="*", type=path_or_stream, metavar="PATH",
        help="photographs, films, or folders of them with their subfolders; - for one photograph "
        "from standard input, coloured to standard output")  # fmt: skip
    add("-o", "--output", type=parse_location, metavar="DIR",
        help="where the coloured photographs go, in the same subfolders "
        f"(default: {DEFAULT_OUTPUT}/ and the folder's name)")  # fmt: skip
    add("--format", choices=tuple(TARGETS), help="write all as this (default: each as it was)")
    add("--overwrite", action="store_true", help="do again what is in the output folder already")
    add("--update", action="store_true",
        help="do again what is older than its source, or was made with another network or other "
        "settings")  # fmt: skip
    add("--dry-run", action="store_true", help="only say which files would be written")
    add("--keep-luma", action="store_true",
        help="grey JPEGs: keep what they store bit for bit and put colour beside it; faster, but "
        "some programs do not read such files, and strong colours become lighter")  # fmt: skip
    add("--no-tag", action="store_true",
        help="do not say in the files' metadata what coloured them")  # fmt: skip
    add("--film-codec", metavar="NAME",
        help="films: FFmpeg's name of the encoder, as libx265 (default: H.264 by libx264; WebM: "
        "VP9; MPEG: MPEG-2)")  # fmt: skip
    add_device_option(parser)
    add("--ray", metavar="ADDRESS",
        help="work on all machines of a Ray cluster: HOST:PORT, or auto for the one that this "
        "machine belongs to; local for this machine alone")  # fmt: skip

    add = parser.add_argument_group("colours").add_argument
    add("--checkpoint", type=Path, default=BUNDLED, metavar="FILE",
        help="a checkpoint of train.py, or of the original project (default: the bundled "
        "one)")  # fmt: skip
    add("--look", choices=tuple(LOOKS), default="natural",
        help="a name for settings of the next three, each of which may be given beside it "
        "(default: natural)")  # fmt: skip
    add("--vividness", type=in_unit_range, metavar="V",
        help="0: the safe mean of all likely colours; 1: the most vivid "
        f"(default: {DEFAULT_VIVIDNESS})")  # fmt: skip
    add("--warmth", type=in_range(-1, 1), metavar="W",
        help="-1: bluish; 1: yellowish (default: 0)")  # fmt: skip
    add("--saturation", type=in_range(0, MAX_SATURATION), metavar="S",
        help=f"0: grey; 1: as predicted; at most {MAX_SATURATION:g} (default: 1)")  # fmt: skip
    add("--hint", type=hint_option, action="append", default=[], metavar="[PHOTO:]X,Y,#RRGGBB",
        help="the colour at a place of the photograph, in pixels from the left and from the top; "
        "what belongs to it follows. May be given several times; PHOTO is its name, needed if "
        "there are several; with @SECONDS behind it from that time of a film on")  # fmt: skip
    add("--reference", type=parse_location, metavar="PHOTO",
        help="a photograph in colour; its colours go where the others look like it")  # fmt: skip
    add("--album", action="store_true",
        help="see all photographs first: what several of them show gets the same colours in all, "
        "and those of a hint")  # fmt: skip

    add = parser.add_argument_group("beside each photograph").add_argument
    add("--variants", type=int, choices=range(1, MAX_VARIANTS + 1), default=1, metavar="N",
        help="write N different plausible colourings: NAME, NAME_variant2 and so on, and "
        f"NAME_N_variants.png, which shows them side by side; at most {MAX_VARIANTS}")  # fmt: skip
    add("--confidence", action="store_true",
        help="write NAME_confidence.png: white where the network is sure of the "
        "colour")  # fmt: skip
    add("--compare", action="store_true",
        help="write NAME_compared.jpg, grey and coloured side by side, and "
        f"{CONTACT_SHEET} of them")  # fmt: skip

    add = parser.add_argument_group("reports").add_argument
    add("--json", action="store_true",
        help="print a line of JSON for each photograph, not the files")  # fmt: skip
    add("--report", type=parse_location, metavar="FILE",
        help="record what was done, with hashes and settings, a row for each written file, in JSON "
        "lines or, if FILE ends in .parquet, in Parquet; rows of earlier runs stay, those of the "
        "same files are replaced")  # fmt: skip
    add("--verify", type=parse_location, metavar="FILE",
        help="colour nothing; say which outputs of a report are missing, changed, or made with "
        "other settings")  # fmt: skip
    return parser


def parse_args(argv: list[str] | None = None) -> Options:
    """Parse the command line; exit with a message if options do not go together."""
    parser = make_parser()
    args = parser.parse_args(argv)
    if bool(args.paths) == bool(args.verify):
        parser.error("--verify: takes no PATH" if args.verify else "needs a PATH")
    if None in args.paths:
        if len(args.paths) > 1:
            parser.error("-: is one photograph alone; leave the other paths out")
        names = "output dry_run json report confidence compare update album ray"
        for name in names.split():
            if getattr(args, name):
                parser.error(f"--{name.replace('_', '-')}: has no meaning for -")
        if args.variants > 1:
            parser.error("--variants: has no meaning for -")
        if any(hint.seconds is not None for hint in args.hint):
            parser.error("--hint: a photograph has no seconds")
        if any(hint.source for hint in args.hint):
            parser.error("--hint: for - is X,Y,#RRGGBB, without a name")
    is_folder = isinstance(args.report, Path) and args.report.is_dir()
    if args.report and (args.report.suffix.lower() in SUFFIXES or is_folder):
        parser.error(f"--report {args.report}: needs the name of a text file")
    if args.update and args.overwrite:
        parser.error("--update: has no meaning with --overwrite")

    outputs = OutputOptions(
        output=args.output or Path(DEFAULT_OUTPUT),
        target=args.format,
        variants=args.variants,
        confidence=args.confidence,
        compare=args.compare,
        overwrite=args.overwrite,
        update=args.update,
        hashed=bool(args.report),
    )
    return Options(
        paths=args.paths,
        outputs=outputs,
        dry_run=args.dry_run,
        keep_luma=args.keep_luma,
        tag=not args.no_tag,
        device=args.device,
        checkpoint=args.checkpoint,
        look=choose_look(args.look, args.vividness, args.warmth, args.saturation),
        hints=tuple(args.hint),
        reference=args.reference,
        album=args.album,
        film_codec=args.film_codec,
        json=args.json,
        report=args.report,
        verify=args.verify,
        ray=args.ray,
    )


MAX_REASONS = 5  # why photographs were skipped, that are printed


@dataclass(frozen=True)
class Plan:
    """What the command line asks for.

    jobs: one for each photograph; none if they are streamed.
    failed: how many paths do not exist or may not be read; each has been reported.
    listing: what is left out; of streamed photographs also what is wrong, not reported yet.
    stream: the photographs, if files lie in a storage or go to a cluster.
    hints: by the photographs that they are for.
    """

    jobs: list[Job]
    failed: int = 0
    listing: Listing = field(default_factory=Listing)
    stream: Iterator[FoundPhoto] | None = None
    hints: Mapping[Location, tuple[Hint, ...]] = field(default_factory=dict)


def print_left_out(left_out: Counter[str]) -> None:
    """Print how many files seem photographs but are not coloured, a line for each reason."""
    for reason, count in sorted(item for item in left_out.items() if item[0]):
        print_note(f"left out: {count} {'file' if count == 1 else 'files'} {reason}")


def find_jobs(options: Options) -> Plan:
    """Find the photographs that the command line names, and plan their output files.

    Raises:
        UsageError: there is nothing to do, or it makes no sense.
    """
    if options.is_remote or options.ray:
        return stream_jobs(options)
    output = cast(Path, options.outputs.output)
    paths = cast(list[Path], options.named)
    for path in paths:
        if path.is_dir() and path.resolve() == output.resolve():
            raise UsageError(
                f"{output}: is where the photographs are", "name another folder with -o"
            )
    found = find_all(paths, output, is_film_name)
    for message in found.wrong:
        print_error(message)
    photos, left_out = found.photos, found.left_out
    if not can_read_films():
        photos = [photo for photo in found.photos if not photo.is_film]
        left_out += Counter({LEFT_OUT: len(found.photos) - len(photos)})
    if not photos:
        print_left_out(left_out)
        hint = "looked for " + " ".join(sorted(SUFFIXES | MUXER_OF.keys()))
        what = "no photographs there"
        raise UsageError("" if found.wrong else f"{paths[0]}: {what}", hint)
    check_films([photo.is_film for photo in photos], options)
    jobs = plan_outputs(photos, options.outputs)
    hints = group_hints(options.hints, jobs)
    return Plan(jobs, len(found.wrong), Listing(left_out=left_out), hints=hints)


def group_hints(hints: Iterable[FilmHint], jobs: list[Job]) -> dict[Location, tuple[Hint, ...]]:
    """Return hints by the photographs that they are for.

    Raises:
        UsageError: it is not clear which one is meant, or it cannot have them.
    """
    grouped: dict[Location, tuple[Hint, ...]] = {}
    for hint in hints:
        meant = find_jobs_named(jobs, hint.source) if hint.source else jobs
        named = f"--hint{f' {hint.source}' if hint.source else ''}"
        if not meant:
            raise UsageError(f"{named}: no such photograph here")
        if len(meant) > 1:
            what = f"{named}: is for one photograph alone, and here are {len(meant)}"
            part = "a longer part of its path" if hint.source else "its name"
            raise UsageError(what, f"say which one by {part}: PHOTO:X,Y,#RRGGBB")
        (job,) = meant
        if job.is_film and len(jobs) > 1:
            raise UsageError(f"{named}: a film with hints needs a run of its own")
        if hint.seconds is not None and not job.is_film:
            raise UsageError("--hint: a photograph has no seconds")
        grouped[job.source] = (*grouped.get(job.source, ()), hint.hint)
    return grouped


def check_films(are_films: list[bool], options: Options) -> None:
    """Check the options that only photographs have, or only films.

    Args:
        are_films: whether each of the sources is a film.
        options: the command line.

    Raises:
        UsageError: nothing that is to be coloured has them, or there is no such encoder.
    """
    outputs = options.outputs
    if all(are_films):
        for name, given in {
            "format": outputs.target,
            "variants": outputs.variants > 1,
            "confidence": outputs.confidence,
            "keep-luma": options.keep_luma,
        }.items():
            if given:
                raise UsageError(f"--{name}: has no meaning for films")
    if any(are_films):
        check_codec(options.film_codec)


def check_codec(name: str | None) -> None:
    """Check the encoder of --film-codec.

    Raises:
        UsageError: there is none of that name.
    """
    if name:
        from colourizer.film.job import check_film_codec  # takes PyAV

        try:
            check_film_codec(name)
        except FilmError as error:
            raise UsageError(f"--film-codec {error}") from error


def stream_jobs(options: Options) -> Plan:
    """Begin to list the photographs that the command line names, in a storage or for a cluster.

    Raises:
        UsageError: there is nothing to do, or it makes no sense.
    """
    listing = Listing()
    if can_read_films():
        check_codec(options.film_codec)
    if options.ray and any(str(path).startswith("memory://") for path in options.named):
        raise UsageError("--ray: memory:// is within one process; name another storage")
    try:
        no_films = "" if can_read_films() else LEFT_OUT
        named, output = options.named, options.outputs.output
        stream = stream_photos(named, output, listing, is_film_name, no_films)
    except UsageError:
        for wrong in listing.wrong:
            print_error(wrong)
        print_left_out(listing.left_out)
        raise
    if all(hint.source for hint in options.hints):
        hints = group_addressed_hints(options.hints, named, output)
        return Plan([], listing=listing, stream=stream, hints=hints)
    first, *others = itertools.islice(stream, 2)
    if others or any(hint.source for hint in options.hints):
        what = "--hint: is for one photograph alone"
        raise UsageError(what, "say which one by its whole address: ADDRESS:X,Y,#RRGGBB")
    hints = group_hints(options.hints, [Job(first.source, [], is_film=first.is_film)])
    return Plan([], listing=listing, stream=iter([first]), hints=hints)


def group_addressed_hints(
    hints: Iterable[FilmHint], named: list[Location], output: Location
) -> dict[Location, tuple[Hint, ...]]:
    """Return hints by the photographs that they name by their whole paths or addresses.

    Args:
        hints: each with a source.
        named: the photographs and folders of the command line.
        output: the folder of all results.

    Raises:
        UsageError: there is no such photograph, or it cannot have them.
    """
    grouped: dict[Location, tuple[Hint, ...]] = {}
    for hint in hints:
        place = parse_location(hint.source)
        spelled = [
            found for path in named if (found := spell_as_listed(place, path, output, is_film_name))
        ]
        source = place if place in spelled else next(iter(spelled), None)
        try:
            if not (source and is_there(source)):
                what = f"--hint {place}: no such photograph here"
                raise UsageError(what, "name it by its whole address, as the command line does")
        except StorageError as error:
            raise UsageError(f"--hint {place}: {error}", *list_hints(error)) from error
        is_film = is_film_name(PurePath(place.name))
        if is_film and named != [source]:
            raise UsageError(f"--hint {place}: a film with hints needs a run of its own")
        own = group_hints([hint._replace(source="")], [Job(source, [], is_film=is_film)])
        grouped[source] = (*grouped.get(source, ()), *own[source])
    return grouped


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


def colourize_stream(colourizer: Colourizer, options: Options, colours: ColourOptions) -> int:
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


def colour_all(
    plan: Plan,
    colourizer: Colourizer,
    options: Options,
    colours: ColourOptions,
    stop: Interrupt,
    recorded: RowIndex | None,
) -> Iterator[Outcome]:
    """Return an iterator that colours all photographs: a folder's, a storage's, or on a cluster."""
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


def colourize_folder(
    plan: Plan, colourizer: Colourizer, options: Options, colours: ColourOptions
) -> int:
    """Colour all photographs, and report each outcome.

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
    matches, compared = ReferenceMatches(), SpacedSample(SHEET_PHOTOS)
    total = len(plan.jobs) if plan.stream is None else None
    with ExitStack() as stack:
        try:
            report = open_report(options.report, stack, counts)
        except ReportError as error:
            print_error(f"--report {error}", *list_hints(error))
            return 2
        except StorageError as error:
            print_error(f"--report {options.report}: {error}", *list_hints(error))
            return 2
        except OSError as error:
            print_error(f"--report {error.filename or options.report}: {reason_of(error)}")
            return 2
        try:
            if options.ray:
                stack.enter_context(join_cluster(options.ray))
            pace = Pace()
            stop = stack.enter_context(Interrupt(PATIENCE, discard_part_files))
            recorded = report.before if report else None
            outcomes = colour_all(plan, colourizer, options, colours, stop, recorded)
            unit = "film" if plan.jobs and all(job.is_film for job in plan.jobs) else "photo"
            shown = progress(outcomes, "colourizing", total, unit=unit)
            disk_full = report_outcomes(
                shown, counts, options.json, report, matches, compared, pace
            )
        except (UsageError, AlbumError) as error:
            print_error(error)
            return 2 if isinstance(error, UsageError) else 1
        speed = pace.describe()
        if outputs.compare and not stop.exit_code:
            counts["failed"] += not make_contact_sheet(plan.jobs, outputs.output, compared.items)
    for wrong in listing.wrong:
        print_error(wrong)
    counts["failed"] += len(listing.wrong)
    done = ", ".join(f"{counts[result]} {result}" for result in ("colourized", "skipped", "failed"))
    print_note(f"{done} ({speed})")
    print_note(*matches.describe())
    print_left_out(listing.left_out)
    if disk_full:
        hint = "make room and run this again; it goes on there"
        print_error(f"{outputs.output}: the disk is full", hint)
    print_skipped(counts, outputs)
    if counts[COLOURIZED_BEFORE]:
        what = f"{counts[COLOURIZED_BEFORE]} in colour already, as results of this program"
        print_note(f"hint: skipped: {what}; name one itself to colourize it again")
    return stop.exit_code or (1 if counts["failed"] else 0)


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


def print_skipped(counts: Counter[str], outputs: OutputOptions) -> None:
    """Print how many photographs were skipped since they are there already, by the reason."""
    reasons = [reason for reason in counts if reason.startswith(EXISTS_ALREADY)]
    for reason in sorted(reasons, key=counts.__getitem__, reverse=True)[:MAX_REASONS]:
        how = "--overwrite" if reason == EXISTS_ALREADY else "--update"
        where = reason.replace(EXISTS_ALREADY, f"{EXISTS_ALREADY} in {outputs.output}", 1)
        print_note(f"hint: skipped: {counts[reason]} {where}; {how} does them again")
    if len(reasons) > MAX_REASONS:
        print_note("hint: skipped: others, for more reasons; --report holds all of them")


def open_report(place: Location | None, stack: ExitStack, counts: Counter[str]) -> Report | None:
    """Open the report to add to. The stack closes it.

    Raises:
        ReportError: it is no report, or cannot be used.
        StorageError: its storage does not give it, or takes no files.
        OSError: it cannot be written.
    """
    if not place:
        return None
    if isinstance(place, Address):
        report: Report = StoredReport(place, temporary_folder(stack))
    else:
        report = Report(place)
    stack.callback(close_report, report, place, counts)
    return report


def close_report(report: Report, place: Location, counts: Counter[str]) -> None:
    """Close the report at a place; print and count an error if that fails."""
    try:
        report.close()
    except (OSError, StorageError) as error:
        what = f"--report {place}: cannot be written ({reason_of(error)})"
        print_error(what, *list_hints(error))
        counts["failed"] += 1


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


def plan_found(photo: FoundPhoto, outputs: OutputOptions) -> Job:
    """Assign a photograph or film of a stream its output files.

    Raises:
        StorageError: the first bytes of a photograph decide, and cannot be read.
    """
    return plan_film(photo, outputs) if photo.is_film else plan_alone(photo, outputs)


def read_recorded(place: Location | None) -> RowIndex | None:
    """Return what a report says of earlier runs; None if there is no report.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        with ExitStack() as stack, suppress(FileNotFoundError):
            if isinstance(place, Address):
                return RowIndex(read_rows(fetch_report(place, temporary_folder(stack))[0]))
            return RowIndex(read_rows(place)) if place else None
    except ReportError as error:
        raise UsageError(
            f"--report {error.of(cast(Location, place))}", *list_hints(error)
        ) from error
    except (OSError, StorageError) as error:
        raise UsageError(f"--report {place}: {reason_of(error)}", *list_hints(error)) from error
    return None


def dry_run(
    plan: Plan,
    options: Options,
    settings: Callable[[Job, int], Settings] | None = None,
    recorded: RowIndex | None = None,
) -> int:
    """Print what would be written; return the exit code.

    Args:
        plan: the photographs.
        options: the command line.
        settings: returns those of a job's variant; for --update only.
        recorded: what the report says; for --update only.
    """
    counts = Counter(failed=plan.failed)
    for photo in plan.jobs if plan.stream is None else plan.stream:
        try:
            job = photo if isinstance(photo, Job) else plan_found(photo, options.outputs)
            if settings:
                own = partial(settings, job)
                wanted, _ = choose_files(job, options.outputs, own, recorded)
            else:
                wanted = list_unfinished(job, options.outputs.overwrite)
        except (PhotoError, StorageError) as error:
            counts["failed"] += 1
            print_error(f"{photo.source}: {error}", *list_hints(error))
            continue
        counts["planned" if wanted else "skipped"] += 1
        if options.json:
            reason = "" if wanted else EXISTS_ALREADY
            outcome = Outcome(job.source, "planned" if wanted else "skipped", wanted, reason)
            print_result(outcome.as_json())
        elif wanted:
            print_result("\n".join(map(str, wanted)))
    for wrong in plan.listing.wrong:
        print_error(wrong)
    counts["failed"] += len(plan.listing.wrong)
    done = f"{counts['planned']} would be colourized, {counts['skipped']} skipped"
    print_note(f"{done}, {counts['failed']} failed")
    print_left_out(plan.listing.left_out)
    return 1 if counts["failed"] else 0


def verify(options: Options) -> int:
    """Verify the outputs of a report, which may lie in a storage; return the exit code."""
    place = options.verify
    with ExitStack() as stack:
        try:
            if isinstance(place, Address):
                path, _ = fetch_report(place, temporary_folder(stack))
            else:
                path = cast(Path, place)
        except ReportError as error:
            print_error(error)
            return 2
        except (OSError, StorageError) as error:
            print_error(f"{place}: {reason_of(error)}", *list_hints(error))
            return 2
        return verify_report(path, options.json, place)


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parse_args(argv)
    if options.verify:
        return verify(options)
    is_stream = options.paths == [None]
    try:
        plan = Plan([]) if is_stream else find_jobs(options)
        if options.dry_run and not options.outputs.update:
            return dry_run(plan, options)
        if not (is_stream or options.dry_run):
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
    if is_stream:
        return colourize_stream(colourizer, options, colours)
    return colourize_folder(plan, colourizer, options, colours)


def run() -> None:
    """Run the installed command and end the process with its exit code."""
    run_command(main)


if __name__ == "__main__":
    run()
