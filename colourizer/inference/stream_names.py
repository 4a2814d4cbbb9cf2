"""Names of files in streams: of results, by the photograph's alone; of parts of keys.

No two photographs share a file, whatever their names are, though no list of them all is made.
"""

import os
import re
import zlib
from pathlib import Path, PurePath

from colourizer.inference.output_plan import CONTACT_SHEET, FoundPhoto, Job, OutputOptions
from colourizer.photos.files import (
    FORMAT_OF,
    START_BYTES,
    SUFFIXES,
    WRITTEN_AS,
    find_format,
    fit_name,
    format_of_start,
    written_name,
)
from colourizer.storage.address import Location
from colourizer.storage.files import read_bytes

# Parts of keys that no folder may be named, and the names that they get.
ODD_PART, ODD_NAME = re.compile(r"\.{0,2}"), re.compile(r"%(?:25)*(?:2E(?:%2E)?)?")
# Names that another photograph's results may have: NAME.gif.png, NAME_variant2.jpg,
# NAME.jpg_compared.jpg and so on. A number at the end is one that `distinct_name` has added.
KINDS = "|".join(suffix[1:] for suffix in sorted(SUFFIXES))
CONVERTED = "|".join(suffix[1:] for suffix, kind in FORMAT_OF.items() if kind in WRITTEN_AS)
BESIDE = rf"\.(?:{KINDS})_(?:confidence|compared|\d+_variants)|_variant\d+"
NUMBER = r"(?:_(?P<number>[2-9]|[1-9]\d+))?"
RESULT = re.compile(rf"(?P<stem>.*(?:\.(?:{CONVERTED})|{BESIDE})){NUMBER}", re.I | re.S)
RESULT_OF_FORMAT = re.compile(rf"(?P<stem>.*(?:\.(?:{KINDS})|{BESIDE})){NUMBER}", re.I | re.S)


def name_part(part: str) -> str:
    """Return a folder's or file's name for a part of a key; that of ".." is %2E%2E."""
    if ODD_NAME.fullmatch(part):  # which another part gets
        return f"%25{part[1:]}"
    return (part.replace(".", "%2E") or "%") if ODD_PART.fullmatch(part) else part


def place_below(output: Location, below: PurePath) -> Location:
    """Return where a result goes; what is too long for names of local files is cut."""
    if isinstance(output, Path):
        parts = map(PurePath, below.parts)
        return output.joinpath(*(fit_distinct(part.stem, part.suffix) for part in parts))
    return output / below


def plan_alone(photo: FoundPhoto, options: OutputOptions) -> Job:
    """Assign a photograph its output files by its name alone, whatever other ones there are.

    Names are those of `plan_outputs`, but of pictures beside a photograph, NAME.jpg_compared.jpg
    instead of NAME_compared.jpg, and of photographs named as the result of another one.

    Raises:
        StorageError: the first bytes decide, and cannot be read.
    """
    below = photo.below.with_name(distinct_name(photo.below.name, options.target))
    name = written_name(below, options.target, _find_format(photo.source))
    if not name.startswith(below.stem):  # it was too long
        name = fit_distinct(below.stem, below.suffix + PurePath(name).suffix)
    first = place_below(options.output, below.with_name(name))

    def beside(wanted: object, ending: str) -> Location | None:
        return first.with_name(fit_distinct(name, f"_{ending}")) if wanted else None

    numbers = range(2, options.variants + 1)
    endings = [f"_variant{number}{first.suffix}" for number in numbers]
    variants = [first.with_name(fit_distinct(first.stem, ending)) for ending in endings]
    return Job(
        photo.source,
        [first, *variants],
        confidence=beside(options.confidence, "confidence.png"),
        sheet=beside(variants, f"{options.variants}_variants.png"),
        compared=beside(options.compare, "compared.jpg"),
        named=photo.named,
        sidecars=photo.sidecars,
    )


def fit_distinct(stem: str, ending: str) -> str:
    """Return a file's name; one that is too long is cut and gets a hash of the whole."""
    name = fit_name(stem, ending)
    if name == stem + ending:
        return name
    return fit_name(stem, f"_{zlib.crc32(os.fsencode(stem + ending)):08x}{ending}")


def distinct_name(name: str, target: str | None = None) -> str:
    """Return a name that no other photograph's result has: its own, or NAME_2, NAME_3 and so on.

    Only what has the name of another's result gets a number: NAME.gif.png becomes NAME.gif_2.png,
    and NAME.gif_2.png becomes NAME.gif_3.png, whether or not NAME.gif exists.

    Args:
        name: of a photograph.
        target: one of photos.files.TARGETS, which other photographs are written as.
    """
    path = PurePath(name)
    found = (RESULT_OF_FORMAT if target else RESULT).fullmatch(path.stem)
    if found:
        return next_name(found, path.suffix)
    return f"{path.stem}_2{path.suffix}" if name.lower() == CONTACT_SHEET else name


def next_name(result: re.Match[str], suffix: str) -> str:
    """Return the name that follows one which another file's result may have: with a number."""
    return f"{result['stem']}_{int(result['number'] or 1) + 1}{suffix}"


def _find_format(source: Location) -> str:
    """Return a photograph's format by its suffix or, where it says too little, its first bytes."""
    if isinstance(source, Path):
        return find_format(source)
    named = FORMAT_OF.get(source.suffix.lower(), "")
    if named not in WRITTEN_AS:
        return named
    return format_of_start(read_bytes(source, START_BYTES)) or named
