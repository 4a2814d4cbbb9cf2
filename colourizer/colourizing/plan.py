"""The photographs and films that the command line of colourize.py names, as jobs or a stream."""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from colourizer.colourizing.hints_by_photo import group_addressed_hints, group_hints
from colourizer.colourizing.options import Options
from colourizer.colourizing.summary import print_left_out
from colourizer.film.container import LEFT_OUT, MUXER_OF, FilmError, can_read_films, is_film_name
from colourizer.film.stored_films import plan_film
from colourizer.inference.hints import Hint
from colourizer.inference.output_plan import FoundPhoto, Job, OutputOptions, find_all, plan_outputs
from colourizer.inference.stream_listing import Listing, stream_photos
from colourizer.inference.stream_names import plan_alone
from colourizer.photos.files import SUFFIXES
from colourizer.runtime.cli import UsageError, print_error
from colourizer.storage.address import Location


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


def make_plan(options: Options) -> Plan:
    """Find the photographs and films that the command line names, or begin to list them.

    Raises:
        UsageError: there is nothing to do, or it makes no sense.
    """
    return plan_stream(options) if options.is_remote or options.ray else plan_local(options)


def plan_local(options: Options) -> Plan:
    """Find the photographs and films of the local disk, and plan their output files.

    Raises:
        UsageError: there is nothing to do, or it makes no sense.
    """
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


def plan_stream(options: Options) -> Plan:
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


def plan_found(photo: FoundPhoto, outputs: OutputOptions) -> Job:
    """Assign a photograph or film of a stream its output files.

    Raises:
        StorageError: the first bytes of a photograph decide, and cannot be read.
    """
    return plan_film(photo, outputs) if photo.is_film else plan_alone(photo, outputs)
