"""Command: how good is a checkpoint, against the untouched grey photograph and the mean colour?"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from checkpoint import BUNDLED, CheckpointError
from colour_space import fit_to_gamut, lightness_to_grey, rgb_to_lab, rgb_to_pixels
from colourizer import Colourizer
from console import at_least, print_error, progress, run_command
from device import add_device_option
from metrics import ab_error, ciede2000, colourfulness, psnr
from photo import PhotoError, each_photo, find_photos, read_rgb, spread, square, write_whole

AB_PEAK = 255  # Lab units: the range of ab in 8 bits, the custom for ab-PSNR
SHEET_PHOTOS, SHEET_COLUMNS = 20, 2  # photographs on a sheet
TILE, HEADER, GAP = 192, 24, 16  # pixels
# column of the table -> (key of a photograph's figures, how they become one, decimals)
COLUMNS: dict[str, tuple[str, Callable[[list[float]], float], int]] = {
    "ab-PSNR median": ("ab_psnr", statistics.median, 2),
    "ab-PSNR mean": ("ab_psnr", statistics.fmean, 2),
    "RGB-PSNR median": ("rgb_psnr", statistics.median, 2),
    "RGB-PSNR mean": ("rgb_psnr", statistics.fmean, 2),
    "CIEDE2000": ("ciede2000", statistics.fmean, 2),
    "ab error": ("ab_error", statistics.fmean, 2),
    "colourfulness": ("colourfulness", statistics.fmean, 1),
}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; every default stands here and nowhere else."""
    parser = argparse.ArgumentParser(
        description="Grey colour photographs, colourize them, and compare with the truth. Prints a "
        "row per checkpoint, and two floors: the grey photograph itself, and the photographs' mean "
        "ab everywhere.",
        epilog="PSNR in dB, ab error and CIEDE2000 in Lab units, colourfulness after Hasler and "
        "Suesstrunk; photos/s counts the colourizing alone.",
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
    add("--limit", type=at_least(1), metavar="N", help="only N photographs, spread over the folder")
    add("--json", action="store_true", help="print one JSON object for the table")
    add("--sheet", type=Path, metavar="FILE.png", help="a picture: grey, each checkpoint, truth")
    add_device_option(parser)
    return parser.parse_args(argv)


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
    paths: list[Path], colourizers: dict[str, Colourizer], crop: int
) -> tuple[list[dict[str, float | int | str]], list[list[Tensor]], int]:
    """Judge the floors and every colourizer on the photographs.

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
        lightness = lab[:1]
        row = [lightness_to_grey(lightness).expand_as(rgb)]
        for name in names:
            begun = time.perf_counter()
            if name == "grey":
                ab = torch.zeros_like(lab[1:])
            elif name == "mean ab":
                ab = mean_ab.expand_as(lab[1:])
            else:
                ab = colourizers[name].predict_ab(lightness)
            predicted = fit_to_gamut(lightness, ab)
            seconds[name] += time.perf_counter() - begun
            figures[name].append(judge(lab, rgb, ab, predicted))
            if name in colourizers:
                row.append(predicted)
        true_colourfulness.append(colourfulness(rgb))
        if path in on_sheet:
            pictures.append([*row, rgb])

    table: list[dict[str, float | int | str]] = []
    for name in names:
        line: dict[str, float | int | str] = {"checkpoint": name}
        for column, (key, summarize, decimals) in COLUMNS.items():
            line[column] = round(summarize([f[key] for f in figures[name]]), decimals)
        ratio = statistics.fmean(f["colourfulness"] for f in figures[name])
        line["ratio"] = round(ratio / max(statistics.fmean(true_colourfulness), 1e-9), 2)
        line["photos/s"] = round(len(figures[name]) / seconds[name], 1)
        line["n"] = len(figures[name])
        table.append(line)
    return table, pictures, failed


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = parse_args(argv)
    paths = find_photos(args.folder)
    if not paths:
        what = "no photographs there" if args.folder.is_dir() else "no such folder"
        print_error(f"{args.folder}: {what}", "python evaluate.py FOLDER_OF_COLOUR_PHOTOS")
        return 2
    if args.limit:
        paths = spread(paths, args.limit)
    colourizers = {}
    for path in args.checkpoint or [BUNDLED]:
        try:
            colourizers[str(path)] = Colourizer.load(path, args.device)
        except CheckpointError as error:
            print_error(error)
            return 2
    table, pictures, failed = evaluate(paths, colourizers, args.crop)
    if not table:
        print_error(f"{args.folder}: none of {failed} photographs can be read")
        return 1
    if args.json:
        print(json.dumps({"folder": str(args.folder), "crop": args.crop, "rows": table}))
    else:
        headers = list(table[0])
        width = max(len(str(line["checkpoint"])) for line in table)
        print("  ".join([headers[0].ljust(width), *headers[1:]]))
        for line in table:
            cells = [str(line[h]).rjust(len(h)) for h in headers[1:]]
            print("  ".join([str(line["checkpoint"]).ljust(width), *cells]))
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
