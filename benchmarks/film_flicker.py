"""Benchmark: how steady and how right are the colours of films, beside frame by frame?

Colours grey versions of films in colour, frame by frame as photographs and as films, and prints for
each, and for all of them:

- flicker: the mean distance in ab, in Lab units, between neighbouring frames at places whose
  lightness has not changed; of the truth, frame by frame, of films; and by how much that of films
  is above the truth's, over by how much frame by frame is.
- CDC, color distribution consistency (Liu et al., Temporally Consistent Video Colorization with
  Deep Feature Propagation and Self-Regularization Learning, 2021): the mean Jensen-Shannon
  divergence, natural logarithm, between the histograms of 256 levels of each of R, G and B in
  frames t and t + 1, t + 2, t + 4; the mean of the three. And how much nearer to the truth's that
  of films is than frame by frame: 1 is the same as the truth's, 0 no nearer.
- ab error: the mean distance from the true ab, of films over frame by frame; of all places, and of
  those that move, where ghosts would be. And chroma, the same way.

Frames are compared at the working size of the network. Pairs of frames with a cut between them do
not count.
"""

import argparse
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from colourizer.colour.space import fit_to_gamut, rgb_to_lab, rgb_to_pixels
from colourizer.film.coherence import FilmColours
from colourizer.film.scenes import is_cut, thumbnail
from colourizer.inference.colourizer import Colourizer
from colourizer.inference.lightness import to_grey
from colourizer.inference.preprocess import reduced_lightness, to_working_size, working_size
from colourizer.inference.upsample import upsample
from colourizer.network.checkpoint import BUNDLED

DISTANCES = (1, 2, 4)  # frames between those whose histograms CDC compares
STILL, MOVING = 1.5, 5.0  # Lab units: the largest change of lightness in 5x5 pixels, and the least
MIN_STILL = 0.02  # share of a frame's places; pairs of frames with less do not count
COLUMNS, WIDTH = 12, 160  # frames in a contact strip, and pixels of each
WAYS = ("truth", "frame by frame", "film")


@dataclass
class Sums:
    """Sums over a film's frames of one way to colour it."""

    flicker: list[float] = field(default_factory=list)
    divergence: dict[int, list[float]] = field(default_factory=lambda: {n: [] for n in DISTANCES})
    error: list[float] = field(default_factory=list)
    moving_error: list[float] = field(default_factory=list)
    chroma: list[float] = field(default_factory=list)
    before: Tensor | None = None  # ab of the last frame
    histograms: deque[Tensor] = field(default_factory=lambda: deque(maxlen=max(DISTANCES)))

    def add(self, rgb: Tensor, ab: Tensor, true_ab: Tensor, change: Tensor | None) -> None:
        """Add a frame.

        Args:
            rgb: (3, h, w) in [0, 1].
            ab: (2, h, w) in Lab units.
            true_ab: the same of the film in colour.
            change: of lightness since the last frame, (h, w); None after a cut.
        """
        error = torch.hypot(*(ab - true_ab))
        self.error.append(error.mean().item())
        self.chroma.append(torch.hypot(*ab).mean().item())
        if change is None:
            self.before = None
            self.histograms.clear()
        if self.before is not None and change is not None:
            still, moving = change < STILL, change > MOVING
            if still.float().mean() > MIN_STILL:
                self.flicker.append(torch.hypot(*(ab - self.before))[still].mean().item())
            if moving.any():
                self.moving_error.append(error[moving].mean().item())
        self.before = ab
        levels = torch.from_numpy(rgb_to_pixels(rgb)).flatten(0, 1).T.int()  # (3, hw)
        histograms = torch.stack([torch.bincount(each, minlength=256) for each in levels])
        histograms = histograms / levels.shape[1]
        for distance in DISTANCES:
            if len(self.histograms) >= distance:
                other = self.histograms[-distance]
                self.divergence[distance].append(jensen_shannon(histograms, other))
        self.histograms.append(histograms)

    @property
    def cdc(self) -> float:
        """Color distribution consistency."""
        return mean([mean(each) for each in self.divergence.values()])


def mean(values: list[float]) -> float:
    """Return the mean; 0 of none."""
    return sum(values) / max(1, len(values))


def jensen_shannon(one: Tensor, other: Tensor) -> float:
    """Return the mean Jensen-Shannon divergence of distributions (N, K), in nats."""
    middle = (one + other) / 2
    parts = [torch.special.xlogy(each, each / middle).nansum(dim=1) for each in (one, other)]
    return ((parts[0] + parts[1]) / 2).mean().item()


def read_film(path: Path, start: int, count: int) -> Iterator[np.ndarray]:
    """Yield the pixels (H, W, 3) uint8 of a film's frames, of at most `count` from `start` on."""
    with av.open(path) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number >= start + count:
                return
            if number >= start:
                yield frame.to_ndarray(format="rgb24")


def measure(path: Path, colourizer: Colourizer, args: argparse.Namespace) -> list[Sums]:
    """Colour a film's grey version in all ways and return what was measured of each."""
    film = FilmColours(colourizer, colourizer.look)
    ways = [Sums() for _ in WAYS]
    strips: list[list[np.ndarray]] = []
    lightness = before = None
    for pixels in read_film(path, args.start, args.frames):
        size = working_size(*pixels.shape[:2])
        seen = reduced_lightness(to_grey(pixels))
        small = Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BOX)
        true_ab = rgb_to_lab(torch.from_numpy(np.array(small)).movedim(-1, 0) / 255)[1:]
        before, lightness = lightness, to_working_size(seen)
        change = None
        if before is not None and not is_cut(thumbnail(before), thumbnail(lightness)):
            change = F.max_pool2d((lightness - before).abs(), 5, 1, 2)[0, 0]
        (alone,) = colourizer.predict([seen])
        colours = [
            true_ab,
            upsample(alone.ab(colourizer.look), *size),
            upsample(film.colourize(seen), *size),
        ]
        column = []
        for way, ab in zip(ways, colours, strict=True):
            rgb = fit_to_gamut(lightness[0], ab)
            way.add(rgb, ab, true_ab, change)
            column.append(rgb_to_pixels(rgb))
        strips.append(column)
    if args.strips:
        draw_strips(strips, args.strips / f"{path.stem}.jpg")
    return ways


def draw_strips(frames: list[list[np.ndarray]], path: Path) -> None:
    """Write a contact sheet: a row for each way to colour a film, a column for each of some frames.

    Args:
        frames: of each frame the pixels in each way, (h, w, 3).
        path: of a JPEG.
    """
    columns = [frames[n * len(frames) // COLUMNS] for n in range(min(COLUMNS, len(frames)))]
    height, width = columns[0][0].shape[:2]
    height = WIDTH * height // width
    sheet = Image.new("RGB", (WIDTH * len(columns), height * len(WAYS)))
    for x, column in enumerate(columns):
        for y, pixels in enumerate(column):
            sheet.paste(Image.fromarray(pixels).resize((WIDTH, height)), (x * WIDTH, y * height))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, quality=92)


def row(name: str, films: list[list[Sums]]) -> str:
    """Return a row of the table: the means over films, and their ratios."""
    flicker = [mean([mean(film[n].flicker) for film in films]) for n in range(len(WAYS))]
    cdc = [mean([film[n].cdc for film in films]) for n in range(len(WAYS))]
    # Of each film, since a sum would hide a film's surplus behind another's lack.
    above = [
        [max(0.0, mean(film[n].flicker) - mean(film[0].flicker)) for film in films] for n in (1, 2)
    ]
    away = [[abs(film[n].cdc - film[0].cdc) for film in films] for n in (1, 2)]
    over = [
        mean([mean(getattr(film[2], what)) for film in films])
        / max(1e-9, mean([mean(getattr(film[1], what)) for film in films]))
        for what in ("error", "moving_error", "chroma")
    ]
    return (
        f"{name:18} {flicker[0]:6.2f} {flicker[1]:6.2f} {flicker[2]:6.2f}"
        f" {sum(above[1]) / max(1e-9, sum(above[0])):6.2f}"
        f" {1000 * cdc[0]:7.2f} {1000 * cdc[1]:7.2f} {1000 * cdc[2]:7.2f}"
        f" {1 - sum(away[1]) / max(1e-9, sum(away[0])):6.2f}"
        f" {over[0]:7.3f} {over[1]:7.3f} {over[2]:7.3f}"
    )


def main() -> None:
    """Measure the films and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("films", type=Path, nargs="+", metavar="FILM", help="films in colour")
    add("--checkpoint", type=Path, default=BUNDLED, metavar="FILE")
    add("--start", type=int, default=0, metavar="N", help="skip N frames")
    add("--frames", type=int, default=100, metavar="N", help="at most N frames of each")
    add("--strips", type=Path, metavar="FOLDER", help="write contact strips there")
    args = parser.parse_args()
    colourizer = Colourizer.load(args.checkpoint)
    print(
        f"{'':18} {'flicker: truth, frames, film, ratio':27} 1000 CDC: truth, frames, film, nearer"
    )
    print(f"{'':78} ab error, moving, chroma")
    films = []
    for path in args.films:
        films.append(measure(path, colourizer, args))
        print(row(path.stem[:18], films[-1:]), flush=True)
    print(row("all", films))


if __name__ == "__main__":
    main()
