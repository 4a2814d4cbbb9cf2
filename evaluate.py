"""Command: measure checkpoints against the untouched grey photograph and the mean colour."""

from colourizer.runtime import early_interrupt  # noqa: F401 - first: the imports take seconds

# isort: split
import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont, ImageOps
from torch import Tensor

from colourizer.colour.metrics import ab_error, ciede2000, colourfulness, psnr
from colourizer.colour.patchiness import patchiness, uniform_regions
from colourizer.colour.space import (
    fit_to_gamut,
    grey_to_lightness,
    lightness_to_grey,
    rgb_to_lab,
    rgb_to_pixels,
)
from colourizer.inference.colourizer import Colourizer
from colourizer.inference.preprocess import reduced_lightness
from colourizer.inference.readout import DEFAULT_VIVIDNESS
from colourizer.network.checkpoint import BUNDLED, CheckpointError
from colourizer.network.device import add_device_option, pick_device, use_one_thread
from colourizer.network.perceptual import (
    CLASSIFIER_PACKAGE,
    Classifier,
    Inception,
    Lpips,
    PerceptualMetric,
)
from colourizer.network.pretrained import WeightsError
from colourizer.photos.errors import PhotoError
from colourizer.photos.files import evenly_spaced, find_photos
from colourizer.photos.pictures import tile_images
from colourizer.photos.read import map_photos, read_rgb
from colourizer.runtime.atomic_file import write_atomically
from colourizer.runtime.cli import (
    at_least,
    in_unit_range,
    print_error,
    print_note,
    print_result,
    progress,
    run_command,
)
from colourizer.runtime.errors import reason_of
from colourizer.training.ageing import age

AB_PEAK = 255  # Lab units: the range of ab in 8 bits, the custom for ab-PSNR
SHEET_PHOTOS, SHEET_COLUMNS = 20, 2  # photographs on a sheet
TILE, HEADER, GAP = 192, 24, 16  # pixels
SIZES = (256, 512, 1024, 4000)  # pixels of a photograph's shortest side, for --size-stability
MAX_ASPECT = 4  # beyond, 4000 pixels on the short side would take too much memory
SIZE_PHOTOS = 50  # the default --limit of --size-stability, which is slow
MIN_METRIC_CROP = 32  # pixels: VGG16 halves a photograph four times
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
    "patchiness": ("patchiness", statistics.fmean, 2),
    "of the truth": ("true_patchiness", statistics.fmean, 2),
    "flip": ("flip", statistics.fmean, 2),  # with --flip only
}
Row = dict[str, float | int | str]
Figures = dict[str, float]  # of one photograph
Predictor = Callable[[Tensor], Tensor]  # lightness (1, H, W) in [0, 100] -> ab (2, H, W)


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
    add("--checkpoint", type=Path, action="append", metavar="FILE",
        help="a checkpoint to judge; may be given several times (default: the bundled one)",
        )  # fmt: skip
    add("--crop", type=at_least(0), default=256, metavar="PIXELS",
        help="compare centre squares of this side; 0: whole photographs (default: %(default)s)",
        )  # fmt: skip
    add("--vividness", type=in_unit_range, action="append", metavar="V",
        help="judge the checkpoints at this vividness, 0 to 1; may be given several times "
        f"(default: {DEFAULT_VIVIDNESS})")  # fmt: skip
    add("--aged", action="store_true",
        help="show the network each photograph as an old one: film, fading, blur, grain, JPEG",
        )  # fmt: skip
    add("--limit", type=at_least(1), metavar="N", help="only N photographs, spread over the folder")
    add("--json", action="store_true", help="print one JSON object for the table")
    add("--sheet", type=Path, metavar="FILE.png", help="a picture: grey, each checkpoint, truth")
    add("--size-stability", action="store_true",
        help="another table instead: how far apart, in Lab units, are the colours of a photograph "
        f"whose shortest side is {', '.join(map(str, SIZES[:-1]))} or {SIZES[-1]} pixels? Whole "
        f"photographs, {SIZE_PHOTOS} of them without --limit; smaller ones are enlarged",
        )  # fmt: skip
    add_device_option(parser)
    add = parser.add_argument_group("more columns").add_argument
    add("--flip", action="store_true",
        help="flip: how far apart, in Lab units, are the colours of a photograph and of its mirror "
        "image?")  # fmt: skip
    add("--lpips", nargs="?", const=DOWNLOAD, metavar="FILE",
        help="LPIPS with VGG16, lower is better; FILE: its ImageNet weights (default: download)",
        )  # fmt: skip
    add("--fid", nargs="?", const=DOWNLOAD, metavar="FILE",
        help="FID and KID, lower is better; FID is too high below some thousand photographs. FILE: "
        "the weights of Inception-v3 for FID (default: download)")  # fmt: skip
    add("--classifier", nargs="?", const=CLASSIFIER_PACKAGE, metavar="FILE_OR_PACKAGE",
        help="same class: the share of photographs that EfficientNet-Lite0 takes for what it takes "
        "the true ones for; and distances as FID and KID, but of its features (default: %(const)s)",
        )  # fmt: skip
    args = parser.parse_args(argv)
    metrics = args.lpips or args.fid or args.classifier
    if args.size_stability and (metrics or args.flip or args.sheet or args.aged):
        parser.error("--size-stability prints a table of its own: without --sheet, --flip and such")
    if metrics and args.crop < MIN_METRIC_CROP:
        least = f"of at least {MIN_METRIC_CROP} pixels"
        parser.error(f"--lpips, --fid and --classifier look at squares {least}: see --crop")
    return args


def load_colourizers(
    checkpoints: list[Path], device: str, vividness: list[float]
) -> dict[str, Colourizer]:
    """Load each checkpoint, at each vividness if there are some; return them by their rows' names.

    Raises:
        CheckpointError: one cannot be loaded.
    """
    colourizers = {}
    for path in checkpoints:
        for value in vividness or [DEFAULT_VIVIDNESS]:
            colourizer = Colourizer.load(path, device, value)
            named = vividness and colourizer.has_likelihoods
            colourizers[f"{path} at {value}" if named else str(path)] = colourizer
    return colourizers


def load_metrics(
    lpips: str | None, fid: str | None, classifier: str | None, device: torch.device
) -> list[PerceptualMetric]:
    """Load the networks of the perceptual metrics that are not None.

    Args:
        lpips: a file of weights, or DOWNLOAD.
        fid: a file of weights, or DOWNLOAD.
        classifier: a file of weights, or a package that holds one.
        device: where to compute.

    Raises:
        WeightsError: one is not there.
    """

    def weights(file: str) -> Path | None:
        return None if file == DOWNLOAD else Path(file)

    metrics: list[PerceptualMetric] = []
    if lpips:
        metrics.append(Lpips(weights(lpips), device))
    if fid:
        metrics.append(Inception(weights(fid), device))
    if classifier:
        metrics.append(Classifier(classifier, device))
    return metrics


def read_photos(paths: list[Path], crop: int) -> Iterator[tuple[Path, Tensor | PhotoError]]:
    """Read each photograph as rgb (3, H, W) in [0, 1], or why it cannot be read.

    Args:
        paths: the photographs.
        crop: the side of the centre square that they are cut to, pixels; 0: whole photographs.
    """

    def read(path: Path) -> Tensor:
        image = read_rgb(path, shortest_side=crop or None)
        if crop:
            image = ImageOps.fit(image, (crop, crop), Image.Resampling.LANCZOS)
        return torch.from_numpy(np.asarray(image).copy()).movedim(-1, 0).float() / 255

    return map_photos(paths, read, use_one_thread)


def measure(rgb: Tensor, lab: Tensor, predicted: Tensor, ab: Tensor) -> Figures:
    """Return the metrics of one photograph's prediction.

    Args:
        rgb: the truth, (3, H, W) in [0, 1].
        lab: the truth, (3, H, W).
        predicted: the prediction, rgb (3, H, W) in [0, 1].
        ab: the prediction, (2, H, W) in Lab units.
    """
    return {
        "ab_psnr": psnr(ab, lab[1:], AB_PEAK),
        "rgb_psnr": psnr(predicted, rgb, 1),
        "ciede2000": ciede2000(rgb_to_lab(predicted), lab).mean().item(),
        "ab_error": ab_error(ab, lab[1:]),
        "colourfulness": colourfulness(predicted),
    }


def mean_colour(paths: list[Path], crop: int) -> Tensor | None:
    """Return the mean ab (2, 1, 1) of all photographs that can be read; None if none can."""
    photos = read_photos(paths, crop)
    means = [rgb_to_lab(rgb)[1:].mean(dim=(1, 2)) for _, rgb in photos if isinstance(rgb, Tensor)]
    return torch.stack(means).mean(dim=0)[:, None, None] if means else None


def age_lightness(rgb: Tensor, seed: int) -> Tensor:
    """Return the lightness (1, H, W) of a photograph, rgb (3, H, W) in [0, 1], made to look old."""
    generator = torch.Generator().manual_seed(seed)
    return grey_to_lightness(age((rgb * 255).round().byte(), generator) / 255)


@dataclass
class Results:
    """The measurements of a row of the table.

    figures: of each photograph.
    seconds: that the colourizing has taken.
    """

    figures: list[Figures] = field(default_factory=list)
    seconds: float = 0.0


@torch.inference_mode()
def evaluate(
    paths: list[Path],
    colourizers: dict[str, Colourizer],
    crop: int,
    aged: bool = False,
    flip: bool = False,
    metrics: Sequence[PerceptualMetric] = (),
) -> tuple[list[Row], list[list[Tensor]], int]:
    """Measure the two baselines and every colourizer on the photographs.

    Args:
        paths: the photographs.
        colourizers: what to measure, by the names of the table's rows.
        crop: the side of the squares to compare, pixels; 0: whole photographs.
        aged: make the network's input look like old photographs.
        flip: compare with the colours of the mirror images too.
        metrics: perceptual metrics, for more columns.

    Returns:
        The table's rows, the pictures of the sheet, rgb (3, H, W) in [0, 1] for each photograph on
        it, and how many photographs were not readable.
    """
    mean_ab = mean_colour(paths, crop)  # the best single colour for these photographs
    if mean_ab is None:
        return [], [], len(paths)
    predictors: dict[str, Predictor] = {
        "grey": lambda lightness: torch.zeros(2, *lightness.shape[1:]),
        "mean ab": lambda lightness: mean_ab.expand(2, *lightness.shape[1:]),
    }
    predictors |= {name: colourizer.predict_ab for name, colourizer in colourizers.items()}
    results = {name: Results() for name in predictors}
    true_colourfulness: list[float] = []
    pictures: list[list[Tensor]] = []
    failed = 0
    on_sheet = set(evenly_spaced(paths, SHEET_PHOTOS))
    for path, rgb in progress(read_photos(paths, crop), "evaluating", len(paths)):
        if isinstance(rgb, PhotoError):
            failed += 1
            print_error(f"{path}: {rgb}")
            continue
        lab = rgb_to_lab(rgb)
        lightness = age_lightness(rgb, seed=len(true_colourfulness)) if aged else lab[:1]
        regions = uniform_regions(lab[1:])
        own = patchiness(regions, lab[1:])
        for metric in metrics:
            metric.add_truth(rgb)
        shown = [lightness_to_grey(lightness).expand_as(rgb)]
        for name, predict in predictors.items():
            begun = time.perf_counter()
            ab = predict(lightness)
            predicted = fit_to_gamut(lab[:1], ab)
            results[name].seconds += time.perf_counter() - begun
            figures = measure(rgb, lab, predicted, ab)
            figures |= {"patchiness": patchiness(regions, ab), "true_patchiness": own}
            results[name].figures.append(figures)
            if flip:
                mirrored = predict(lightness.flip(-1)).flip(-1)
                figures["flip"] = ab_error(ab, mirrored)
            for metric in metrics:
                metric.add(name, predicted)
            if name in colourizers:
                shown.append(predicted)
        true_colourfulness.append(colourfulness(rgb))
        if path in on_sheet:
            pictures.append([*shown, rgb])
    truth = statistics.fmean(true_colourfulness)
    table = [make_row(name, made, truth, metrics) for name, made in results.items()]
    return table, pictures, failed


def make_row(
    name: str, results: Results, true_colourfulness: float, metrics: Iterable[PerceptualMetric]
) -> Row:
    """Return a row of the table.

    Args:
        name: of the row.
        results: of at least one photograph.
        true_colourfulness: the photographs' own, their mean.
        metrics: for more columns.
    """
    figures = results.figures
    row: Row = {"checkpoint": name}
    for column, (key, summarize, decimals) in COLUMNS.items():
        if key in figures[0]:
            row[column] = round(summarize([photo[key] for photo in figures]), decimals)
    predicted = statistics.fmean(photo["colourfulness"] for photo in figures)
    row["ratio"] = round(predicted / max(true_colourfulness, 1e-9), 2)
    for metric in metrics:
        row |= metric.columns(name)
    row["photos/s"] = round(len(figures) / results.seconds, 1)
    row["n"] = len(figures)
    return row


@torch.inference_mode()
def size_stability(paths: list[Path], colourizers: dict[str, Colourizer]) -> tuple[list[Row], int]:
    """Measure how far apart the ab of a photograph is at all SIZES, reduced to the first.

    Returns:
        The table's rows: the mean ab distance for each pair of sizes, which pair is the worst, and
        the mean chroma for each size; and how many photographs were not readable.
    """
    pairs = {f"{one}-{two}": (one, two) for one, two in itertools.combinations(SIZES, 2)}
    figures: dict[str, list[Figures]] = {name: [] for name in colourizers}
    failed = 0
    for path, photo in progress(map_photos(paths, read_rgb), "evaluating", len(paths)):
        if isinstance(photo, PhotoError) or max(photo.size) > MAX_ASPECT * min(photo.size):
            failed += 1
            narrow = "too long and narrow to be enlarged"
            print_error(f"{path}: {photo if isinstance(photo, PhotoError) else narrow}")
            continue
        for name, at in predict_at_sizes(photo.convert("L"), colourizers).items():
            figures[name].append(
                {pair: ab_error(at[one], at[two]) for pair, (one, two) in pairs.items()}
                | {f"chroma {size}": ab.norm(dim=1).mean().item() for size, ab in at.items()}
            )
    if failed == len(paths):
        return [], failed
    table: list[Row] = []
    for name, photos in figures.items():
        means = {column: statistics.fmean(f[column] for f in photos) for column in photos[0]}
        row: Row = {"checkpoint": name}
        row |= {column: round(mean, 2) for column, mean in means.items()}
        row["worst pair"] = max(pairs, key=lambda pair: means[pair])
        row["n"] = len(photos)
        table.append(row)
    return table, failed


def predict_at_sizes(
    grey: Image.Image, colourizers: dict[str, Colourizer]
) -> dict[str, dict[int, Tensor]]:
    """Return each colourizer's ab of a photograph at each of SIZES, (1, 2, H, W) of the first."""
    colours: dict[str, dict[int, Tensor]] = {name: {} for name in colourizers}
    sizes = {}
    for shortest in SIZES:
        scale = shortest / min(grey.size)
        sizes[shortest] = round(grey.width * scale), round(grey.height * scale)
    width, height = sizes[SIZES[0]]
    for shortest, size in sizes.items():
        resized = grey.resize(size, Image.Resampling.LANCZOS)
        lightness = reduced_lightness(np.asarray(resized))  # (1, h, w), of 8 bits as in a file
        for name, colourizer in colourizers.items():
            ab = colourizer.predict_ab(lightness)[None]  # (1, 2, H, W)
            reduced = F.interpolate(ab, (height, width), mode="bilinear", antialias=True)
            colours[name][shortest] = reduced
    return colours


def print_table(table: list[Row]) -> None:
    """Print a table's rows, which have the same columns, below each other."""
    first, *headers = table[0]
    width = max(len(str(row[first])) for row in table)
    print_result("  ".join([first.ljust(width), *headers]))
    for row in table:
        cells = [str(row[header]).rjust(len(header)) for header in headers]
        print_result("  ".join([str(row[first]).ljust(width), *cells]))


def draw_sheet(photos: list[list[Tensor]], names: list[str]) -> Image.Image:
    """Return a sheet of photographs, the pictures of each side by side, in SHEET_COLUMNS columns.

    Args:
        photos: for each photograph its pictures, rgb (3, H, W) in [0, 1].
        names: what each of a photograph's pictures shows.
    """
    strips = []
    for pictures in photos:
        tiles = [Image.fromarray(rgb_to_pixels(rgb)) for rgb in pictures]
        for tile in tiles:
            tile.thumbnail((TILE, TILE))
        strips.append(tile_images(tiles, len(tiles), (TILE, TILE), background="white"))
    grid = tile_images(strips, SHEET_COLUMNS, gap=(GAP, 0), background="white")
    sheet = Image.new("RGB", (grid.width, HEADER + grid.height), "white")
    sheet.paste(grid, (0, HEADER))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=14)
    for left in range(0, sheet.width, TILE * len(names) + GAP):
        for i, name in enumerate(names):
            draw.text((left + TILE * i + 6, 3), name[-26:], "black", font)
    return sheet


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = parse_args(argv)
    unreadable: list[OSError] = []
    paths = find_photos(args.folder, unreadable=unreadable)
    for folder in unreadable:
        print_error(f"{folder.filename}: {reason_of(folder)}")
    if not paths:
        what = "no photographs there" if args.folder.is_dir() else "no such folder"
        print_error(f"{args.folder}: {what}", "python evaluate.py FOLDER_OF_COLOUR_PHOTOS")
        return 2
    paths = evenly_spaced(paths, args.limit or (SIZE_PHOTOS if args.size_stability else len(paths)))
    try:
        checkpoints = args.checkpoint or [BUNDLED]
        colourizers = load_colourizers(checkpoints, args.device, args.vividness or [])
        device = pick_device(args.device)
        metrics = load_metrics(args.lpips, args.fid, args.classifier, device)
    except (CheckpointError, WeightsError) as error:
        print_error(error)
        return 2
    about: dict[str, str | int] = {"folder": str(args.folder)}
    if args.size_stability:
        table, failed = size_stability(paths, colourizers)
    else:
        about |= {"crop": args.crop, "aged": args.aged}
        table, pictures, failed = evaluate(
            paths, colourizers, args.crop, args.aged, args.flip, metrics
        )
    if not table:
        print_error(f"{args.folder}: none of {failed} photographs can be read")
        return 1
    if args.json:
        print_result(json.dumps(about | {"rows": table}))
    else:
        print_table(table)
    sheet_failed = False
    if args.sheet:
        names = [Path(name).name for name in colourizers]
        if len(set(names)) < len(names):  # best.pt of several runs
            names = list(colourizers)
        try:
            args.sheet.parent.mkdir(parents=True, exist_ok=True)
            sheet = draw_sheet(pictures, ["grey", *names, "truth"])
            write_atomically(args.sheet, lambda file: sheet.save(file, format="PNG"))
        except OSError as error:
            print_error(f"{args.sheet}: {reason_of(error)}")
            sheet_failed = True
    print_note(f"{table[0]['n']} photographs judged, {failed + len(unreadable)} failed")
    return 1 if failed or sheet_failed or unreadable else 0


if __name__ == "__main__":
    run_command(main)
