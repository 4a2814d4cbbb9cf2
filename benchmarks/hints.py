"""Benchmark: by how much do hints and reference photographs reduce the ab error?

Colours grey versions of colour photographs and prints the mean ab error, in Lab units, over all
pixels: with the true colours at 0, 1, 5 and 20 random places as hints (each the mean of a small
square), and with a reference: the photograph's mirror image; an overlapping part of it; and, to see
what a reference can spoil, another photograph. Of references also how much of the photograph they
match, and how many weak any of it.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

sys.path.insert(0, str(Path(__file__).parent.parent))

from colourizer.colour.metrics import ab_error
from colourizer.colour.space import rgb_to_lab
from colourizer.inference.colourizer import Colourizer
from colourizer.inference.hints import WEAK_MATCH, Hint
from colourizer.inference.preprocess import reduced_lightness
from colourizer.inference.upsample import upsample
from colourizer.network.checkpoint import BUNDLED
from colourizer.photos.files import evenly_spaced, find_photos
from colourizer.photos.read import read_rgb

COUNTS = (0, 1, 5, 20)
LANCZOS = Image.Resampling.LANCZOS
SIDE = 256  # pixels of the squares that are compared
WHOLE = 320  # pixels of what neighbours are cut from


def ab_of(image: Image.Image) -> torch.Tensor:
    """Return an image's ab, (2, H, W) in Lab units."""
    rgb = torch.from_numpy(np.array(image)).movedim(-1, 0) / 255
    return rgb_to_lab(rgb)[1:]


def main() -> None:
    """Measure the errors and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER", help="photographs in colour")
    add("--checkpoint", type=Path, default=BUNDLED, metavar="FILE")
    add("--limit", type=int, default=10_000, metavar="N", help="only N photographs")
    add("--patch", type=int, default=7, metavar="PIXELS", help="side of a hint's square, odd")
    args = parser.parse_args()
    colourizer = Colourizer.load(args.checkpoint)
    errors: dict[str, list[float]] = {}
    matches: dict[str, list[float]] = {}
    seconds: list[float] = []
    before: Image.Image | None = None
    paths = evenly_spaced(find_photos(args.folder), args.limit)
    for number, path in enumerate(paths):
        whole = ImageOps.fit(read_rgb(path, shortest_side=WHOLE), (WHOLE, WHOLE), LANCZOS)
        edge = WHOLE - SIDE
        photo = ImageOps.fit(whole, (SIDE, SIDE), LANCZOS)
        true, pixels = ab_of(photo), np.asarray(photo).astype(float)
        grey = np.asarray(photo.convert("L"))
        (prediction,) = colourizer.predict([reduced_lightness(grey)], with_features=True)
        chance = np.random.default_rng(number)
        margin = args.patch // 2
        places = chance.integers(margin, SIDE - margin, (max(COUNTS), 2))
        hints = []
        for x, y in places:
            patch = pixels[y - margin : y + margin + 1, x - margin : x + margin + 1]
            red, green, blue = (round(value) for value in patch.mean(axis=(0, 1)))
            hints.append(Hint(int(x), int(y), (red, green, blue)))

        def note(name: str, ab: torch.Tensor, true: torch.Tensor = true) -> None:
            full = upsample(ab, SIDE, SIDE)
            errors.setdefault(name, []).append(ab_error(full, true))

        for count in COUNTS:
            begun = time.perf_counter()
            ab = prediction.ab(colourizer.look, 0, hints[:count], (SIDE, SIDE))
            seconds.append(time.perf_counter() - begun)
            note(f"{count} hints", ab)
        # Two parts of one photograph, each SIDE wide and high; most of one is in the other.
        part = whole.crop((0, 0, SIDE, SIDE))
        others = {
            "mirror image": (photo, ImageOps.mirror(photo)),
            "neighbour": (part, whole.crop((edge, edge, WHOLE, WHOLE))),
            "another photograph": (photo, before),
        }
        for name, (one, other) in others.items():
            if other is None or not (np.ptp(np.asarray(other), axis=-1) > 0).any():
                continue
            reference = colourizer.study_reference(other)
            grey = np.asarray(one.convert("L"))
            (seen,) = colourizer.predict([reduced_lightness(grey)], with_features=True)
            note(f"{name}: without", seen.ab(colourizer.look), ab_of(one))
            ab, match = seen.ab_and_match(colourizer.look, reference=reference)
            note(f"{name} as reference", ab, ab_of(one))
            matches.setdefault(name, []).append(match or 0)
        before = photo
    print(f"mean ab error over {len(paths)} photographs, vividness {colourizer.look.vividness}")
    for name, values in errors.items():
        if name.endswith(": without"):
            continue
        floor = errors.get(f"{name.split(' as ')[0]}: without", errors["0 hints"])
        mean = statistics.fmean(values)
        print(f"{name:34} {mean:6.2f}  {100 * (1 - mean / statistics.fmean(floor)):5.1f}% less")
    for name, shares in matches.items():
        weak = sum(share < WEAK_MATCH for share in shares)
        mean = 100 * statistics.fmean(shares)
        print(f"{name:34} {mean:5.0f}% matched, weakly {weak} of {len(shares)}")
    twenty = seconds[len(COUNTS) - 1 :: len(COUNTS)]
    print(f"20 hints take {1000 * statistics.median(twenty):.0f} ms")


if __name__ == "__main__":
    main()
