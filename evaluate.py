"""Command: how good is a checkpoint, against the untouched grey photograph and the mean colour?"""

import argparse
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from colourizer.colour.metrics import ab_error, ciede2000, colourfulness, psnr
from colourizer.colour.space import (
    fit_to_gamut,
    grey_to_lightness,
    lightness_to_grey,
    rgb_to_lab,
    rgb_to_pixels,
)
from colourizer.inference.colourizer import VIVIDNESS, Colourizer
from colourizer.inference.preprocess import reduced_lightness
from colourizer.network.checkpoint import BUNDLED, CheckpointError
from colourizer.network.device import add_device_option, pick_device
from colourizer.network.perceptual import CLASSIFIER_PACKAGE, Classifier, Critic, Inception, Lpips
from colourizer.network.pretrained import WeightsError
from colourizer.photos.errors import PhotoError
from colourizer.photos.files import find_photos, spread
from colourizer.photos.read import each_photo, read_rgb, square
from colourizer.runtime.atomic_file import write_whole
from colourizer.runtime.cli import at_least, in_unit_range, print_error, progress, run_command
from colourizer.training.ageing import age

AB_PEAK = 255  # Lab units: the range of ab in 8 bits, the custom for ab-PSNR
SHEET_PHOTOS, SHEET_COLUMNS = 20, 2  # photographs on a sheet
TILE, HEADER, GAP = 192, 24, 16  # pixels
SIZES = (256, 512, 1024, 4000)  # pixels of a photograph's shortest side, for --size-stability
LONGEST_ASPECT = 4  # beyond, 4000 pixels on the short side would take too much memory
SIZE_PHOTOS = 50  # so many, unless --limit says otherwise: 4000 pixels take their time
LEAST_CRITIC_CROP = 32  # pixels: VGG16 halves a photograph four times
DOWNLOAD = "download"  # what an optional FILE is when none is named
# column of the table -> (key of a photograph's figures, how they become one, decimals)
COLUMNS: dict[str, tuple[str, Callable[[list[float]], float], int]] = {
    "ab-PSNR median": ("ab_psnr", statistics.median, 2),
    "ab-PSNR mean": ("ab_psnr", statistics.fmean, 2),
    "RGB-PSNR median": ("rgb_psnr", statistics.median, 2),
    "RGB-PSNR mean": ("rgb_psnr", statistics.fmean, 2),
    "CIEDE2000": ("ciede2000", statistics.fmean, 2),
    "ab error": ("ab_error", statistics.fmean, 2),
    "colourfulness": ("colourfulness", statistics.fmean, 1),
    "flip": ("flip", statistics.fmean, 2),  # with --flip only
}
Row = dict[str, float | int | str]


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; every default stands here and nowhere else."""
    parser = argparse.ArgumentParser(
        description="Grey colour photographs, colourize them, and compare with the truth. Prints a "
        "row per checkpoint, and two floors: the grey photograph itself, and the photographs' mean "
        "ab everywhere.",
        epilog="PSNR in dB, ab error and CIEDE2000 in Lab units, colourfulness after Hasler and "
        "Suesstrunk; photos/s counts the colourizing alone. --lpips, --fid and --classifier need "
        'pip install -e ".[evaluate]", and an optional FILE comes after FOLDER.',
    )
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER", help="colour photographs; subfolders too")
    add(
        "--checkpoint",
        type=Path,
        action="append",
        metavar="FILE",
        help="a checkpoint to judge; may be given several times (default: the bundled one)",
    )
    add(
        "--crop",
        type=at_least(0),
        default=256,
        metavar="PIXELS",
        help="compare centre squares of this side; 0: whole photographs (default: %(default)s)",
    )
    add(
        "--vividness",
        type=in_unit_range,
        action="append",
        metavar="V",
        help="judge the checkpoints at this vividness, 0 to 1; may be given several times "
        f"(default: {VIVIDNESS})",
    )
    add(
        "--aged",
        action="store_true",
        help="show the network each photograph as an old one: film, fading, blur, grain, JPEG",
    )
    add("--limit", type=at_least(1), metavar="N", help="only N photographs, spread over the folder")
    add("--json", action="store_true", help="print one JSON object for the table")
    add("--sheet", type=Path, metavar="FILE.png", help="a picture: grey, each checkpoint, truth")
    add(
        "--size-stability",
        action="store_true",
        help="another table instead: how far apart, in Lab units, are the colours of a photograph "
        f"whose shortest side is {', '.join(map(str, SIZES[:-1]))} or {SIZES[-1]} pixels? Whole "
        f"photographs, {SIZE_PHOTOS} of them without --limit; smaller ones are enlarged",
    )
    add_device_option(parser)
    add = parser.add_argument_group("more columns").add_argument
    add(
        "--flip",
        action="store_true",
        help="flip: how far apart, in Lab units, are the colours of a photograph and of its mirror "
        "image?",
    )
    add(
        "--lpips",
        nargs="?",
        const=DOWNLOAD,
        metavar="FILE",
        help="LPIPS with VGG16, lower is better; FILE: its ImageNet weights (default: download)",
    )
    add(
        "--fid",
        nargs="?",
        const=DOWNLOAD,
        metavar="FILE",
        help="FID and KID, lower is better; FID is too high below some thousand photographs. FILE: "
        "the weights of Inception-v3 for FID (default: download)",
    )
    add(
        "--classifier",
        nargs="?",
        const=CLASSIFIER_PACKAGE,
        metavar="FILE_OR_PACKAGE",
        help="same class: the share of photographs that EfficientNet-Lite0 takes for what it takes "
        "the true ones for; and distances as FID and KID, but of its features (default: %(const)s)",
    )
    args = parser.parse_args(argv)
    critics = args.lpips or args.fid or args.classifier
    if args.size_stability and (critics or args.flip or args.sheet or args.aged):
        parser.error("--size-stability prints a table of its own: without --sheet, --flip and such")
    if critics and args.crop < LEAST_CRITIC_CROP:
        least = f"of at least {LEAST_CRITIC_CROP} pixels"
        parser.error(f"--lpips, --fid and --classifier look at squares {least}: see --crop")
    return args


def load_critics(args: argparse.Namespace) -> list[Critic]:
    """Load the networks that the command line asks for.

    Raises:
        WeightsError: one is not there.
    """
    device = pick_device(args.device)

    def named(file: str) -> Path | None:
        return None if file == DOWNLOAD else Path(file)

    critics: list[Critic] = []
    if args.lpips:
        critics.append(Lpips(named(args.lpips), device))
    if args.fid:
        critics.append(Inception(named(args.fid), device))
    if args.classifier:
        critics.append(Classifier(args.classifier, device))
    return critics


def read_photos(paths: list[Path], crop: int) -> Iterator[tuple[Path, Tensor | PhotoError]]:
    """Give each photograph as rgb (3, H, W) in [0, 1], or why it cannot be read."""

    def read(path: Path) -> Tensor:
        image = read_rgb(path, shortest_side=crop or None)
        image = square(image, crop) if crop else image
        return torch.from_numpy(np.asarray(image).copy()).movedim(-1, 0).float() / 255

    return each_photo(paths, read)


def judge(lab: Tensor, rgb: Tensor, ab: Tensor, predicted: Tensor) -> dict[str, float]:
    """Compare one photograph with its colourized self.

    Args:
        lab: the truth, (3, H, W).
        rgb: the truth, (3, H, W) in [0, 1].
        ab: the prediction, (2, H, W) in Lab units.
        predicted: the prediction, rgb (3, H, W) in [0, 1].
    """
    return {
        "ab_psnr": psnr(ab, lab[1:], AB_PEAK),
        "rgb_psnr": psnr(predicted, rgb, 1),
        "ciede2000": ciede2000(rgb_to_lab(predicted), lab).mean().item(),
        "ab_error": ab_error(ab, lab[1:]),
        "colourfulness": colourfulness(predicted),
    }


def draw_sheet(photos: list[list[Tensor]], names: list[str]) -> Image.Image:
    """Lay pictures out, a photograph's side by side, photographs in SHEET_COLUMNS columns.

    Args:
        photos: for each photograph its pictures, rgb (3, H, W) in [0, 1].
        names: what each of a photograph's pictures shows.
    """
    width, rows = TILE * len(names), -(-len(photos) // SHEET_COLUMNS)
    columns = min(SHEET_COLUMNS, len(photos))
    sheet = Image.new("RGB", ((width + GAP) * columns - GAP, HEADER + TILE * rows), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=14)
    for column in range(columns):
        for i, name in enumerate(names):
            draw.text(((width + GAP) * column + TILE * i + 6, 3), name[-26:], "black", font)
    for n, pictures in enumerate(photos):
        row, column = divmod(n, columns)
        for i, rgb in enumerate(pictures):
            tile = Image.fromarray(rgb_to_pixels(rgb))
            tile.thumbnail((TILE, TILE))
            sheet.paste(tile, ((width + GAP) * column + TILE * i, HEADER + TILE * row))
    return sheet


@torch.inference_mode()
def evaluate(
    paths: list[Path],
    colourizers: dict[str, Colourizer],
    crop: int,
    aged: bool = False,
    flip: bool = False,
    critics: Sequence[Critic] = (),
) -> tuple[list[Row], list[list[Tensor]], int]:
    """Judge the floors and every colourizer on the photographs.

    Args:
        paths: the photographs.
        colourizers: what to judge, by the names of the table's rows.
        crop: the side of the squares to compare, pixels; 0: whole photographs.
        aged: show the photographs to the network as old ones.
        flip: judge the mirror images' colours too.
        critics: who else has a say.

    Returns:
        The table's rows, the pictures of the sheet, and how many photographs were not readable.
    """
    # First look: the mean ab of all photographs, the best single colour for them.
    photos = read_photos(paths, crop)
    means = [rgb_to_lab(rgb)[1:].mean(dim=(1, 2)) for _, rgb in photos if isinstance(rgb, Tensor)]
    if not means:
        return [], [], len(paths)
    mean_ab = torch.stack(means).mean(dim=0)[:, None, None]  # (2, 1, 1)

    names = ["grey", "mean ab", *colourizers]
    figures: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    seconds = dict.fromkeys(names, 0.0)
    true_colourfulness: list[float] = []
    pictures: list[list[Tensor]] = []
    failed = 0
    on_sheet = set(spread(paths, SHEET_PHOTOS))
    bar = progress(read_photos(paths, crop), "evaluating", len(paths))
    for path, rgb in bar:
        if isinstance(rgb, PhotoError):
            failed += 1
            print_error(f"{path}: {rgb}")
            continue
        lab = rgb_to_lab(rgb)
        lightness = seen = lab[:1]
        if aged:
            chance = torch.Generator().manual_seed(len(true_colourfulness))
            seen = grey_to_lightness(age((rgb * 255).round().byte(), chance) / 255)
        row = [lightness_to_grey(seen).expand_as(rgb)]
        for critic in critics:
            critic.look_at_truth(rgb)
        for name in names:
            begun = time.perf_counter()
            if name == "grey":
                ab = torch.zeros_like(lab[1:])
            elif name == "mean ab":
                ab = mean_ab.expand_as(lab[1:])
            else:
                ab = colourizers[name].predict_ab(seen)
            predicted = fit_to_gamut(lightness, ab)
            seconds[name] += time.perf_counter() - begun
            figures[name].append(judge(lab, rgb, ab, predicted))
            for critic in critics:
                critic.look(name, predicted)
            if flip:
                mirrored = ab.flip(-1)  # the floors know neither left nor right
                if name in colourizers:
                    mirrored = colourizers[name].predict_ab(seen.flip(-1))
                figures[name][-1]["flip"] = ab_error(ab, mirrored.flip(-1))
            if name in colourizers:
                row.append(predicted)
        true_colourfulness.append(colourfulness(rgb))
        if path in on_sheet:
            pictures.append([*row, rgb])

    table: list[Row] = []
    for name in names:
        line: Row = {"checkpoint": name}
        for column, (key, summarize, decimals) in COLUMNS.items():
            if key in figures[name][0]:
                line[column] = round(summarize([f[key] for f in figures[name]]), decimals)
        ratio = statistics.fmean(f["colourfulness"] for f in figures[name])
        line["ratio"] = round(ratio / max(statistics.fmean(true_colourfulness), 1e-9), 2)
        for critic in critics:
            line |= critic.columns(name)
        line["photos/s"] = round(len(figures[name]) / seconds[name], 1)
        line["n"] = len(figures[name])
        table.append(line)
    return table, pictures, failed


@torch.inference_mode()
def size_stability(paths: list[Path], colourizers: dict[str, Colourizer]) -> tuple[list[Row], int]:
    """Colour photographs at all SIZES, and compare the colours, reduced to the first size.

    Returns:
        The table's rows: the mean ab distance for each pair of sizes, which pair is the worst, and
        the mean chroma for each size; and how many photographs were not readable.
    """
    pairs = {f"{one}-{two}": (one, two) for one, two in itertools.combinations(SIZES, 2)}
    figures: dict[str, list[dict[str, float]]] = {name: [] for name in colourizers}
    failed = 0
    for path, photo in progress(each_photo(paths, read_rgb), "evaluating", len(paths)):
        if isinstance(photo, PhotoError):
            failed += 1
            print_error(f"{path}: {photo}")
            continue
        if max(photo.size) > LONGEST_ASPECT * min(photo.size):
            failed += 1
            print_error(f"{path}: too long and narrow to be enlarged")
            continue
        grey = photo.convert("L")
        colours: dict[str, dict[int, Tensor]] = {name: {} for name in colourizers}
        for size in SIZES:
            scale = size / min(grey.size)
            width, height = (round(side * scale) for side in grey.size)
            if size == SIZES[0]:
                common = (height, width)
            resized = grey.resize((width, height), Image.Resampling.LANCZOS)
            lightness = reduced_lightness(np.asarray(resized))  # (1, h, w), of 8 bits as in a file
            for name, colourizer in colourizers.items():
                ab = colourizer.predict_ab(lightness)[None]  # (1, 2, H, W)
                colours[name][size] = F.interpolate(ab, common, mode="bilinear", antialias=True)
        for name, at in colours.items():
            figures[name].append(
                {pair: ab_error(at[one], at[two]) for pair, (one, two) in pairs.items()}
                | {f"chroma {size}": ab.norm(dim=1).mean().item() for size, ab in at.items()}
            )

    if failed == len(paths):
        return [], failed
    table: list[Row] = []
    for name in colourizers:
        columns = figures[name][0]
        means = {column: statistics.fmean(f[column] for f in figures[name]) for column in columns}
        line: Row = {"checkpoint": name}
        line |= {column: round(mean, 2) for column, mean in means.items()}
        line["worst pair"] = max(pairs, key=lambda pair: means[pair])
        line["n"] = len(figures[name])
        table.append(line)
    return table, failed


def print_table(table: list[Row]) -> None:
    """Print a table's rows, which have the same columns, below each other."""
    first, *headers = table[0]
    width = max(len(str(line[first])) for line in table)
    print("  ".join([first.ljust(width), *headers]))
    for line in table:
        cells = [str(line[header]).rjust(len(header)) for header in headers]
        print("  ".join([str(line[first]).ljust(width), *cells]))


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = parse_args(argv)
    paths = find_photos(args.folder)
    if not paths:
        what = "no photographs there" if args.folder.is_dir() else "no such folder"
        print_error(f"{args.folder}: {what}", "python evaluate.py FOLDER_OF_COLOUR_PHOTOS")
        return 2
    paths = spread(paths, args.limit or (SIZE_PHOTOS if args.size_stability else len(paths)))
    colourizers = {}
    try:
        for path in args.checkpoint or [BUNDLED]:
            for vividness in args.vividness or [VIVIDNESS]:
                colourizer = Colourizer.load(path, args.device, vividness)
                named = args.vividness and colourizer.knows_likelihoods
                colourizers[f"{path} at {vividness}" if named else str(path)] = colourizer
        critics = load_critics(args)
    except (CheckpointError, WeightsError) as error:
        print_error(error)
        return 2
    about: dict[str, str | int] = {"folder": str(args.folder)}
    if args.size_stability:
        table, failed = size_stability(paths, colourizers)
    else:
        table, pictures, failed = evaluate(
            paths, colourizers, args.crop, args.aged, args.flip, critics
        )
        about |= {"crop": args.crop, "aged": args.aged}
    if not table:
        print_error(f"{args.folder}: none of {failed} photographs can be read")
        return 1
    if args.json:
        print(json.dumps(about | {"rows": table}))
    else:
        print_table(table)
    sheet_failed = False
    if args.sheet:
        names = ["grey", *(Path(name).name for name in colourizers), "truth"]
        try:
            args.sheet.parent.mkdir(parents=True, exist_ok=True)
            sheet = draw_sheet(pictures, names)
            write_whole(args.sheet, lambda file: sheet.save(file, format="PNG"))
        except OSError as error:
            print_error(f"{args.sheet}: {error.strerror or error}")
            sheet_failed = True
    print(f"{table[0]['n']} photographs judged, {failed} failed", file=sys.stderr)
    return 1 if failed or sheet_failed else 0


if __name__ == "__main__":
    run_command(main)
