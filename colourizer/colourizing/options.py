"""Options of colourize.py: the command line, and the typed options that come of it."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from colourizer.film.film_hints import FilmHint, parse_film_hint
from colourizer.inference.hints import HintError
from colourizer.inference.looks import LOOKS, MAX_SATURATION, Look, choose_look
from colourizer.inference.output_plan import CONTACT_SHEET, DEFAULT_OUTPUT, OutputOptions
from colourizer.inference.readout import DEFAULT_VIVIDNESS
from colourizer.inference.variants import MAX_VARIANTS
from colourizer.network.checkpoint import BUNDLED
from colourizer.network.device import add_device_option
from colourizer.photos.files import SUFFIXES, TARGETS
from colourizer.runtime.cli import in_range, in_unit_range
from colourizer.storage.address import Address, Location, parse_location


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
    def is_standard_input(self) -> bool:
        """Whether it is one photograph from standard input, coloured to standard output."""
        return self.paths == [None]

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
