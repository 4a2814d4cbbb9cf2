"""Benchmark: how well does --album give the same things the same colours, and nothing else others?

Colours grey versions of colour photographs one by one and as an album. Prints the mean distance of
ab, in Lab units, at the same places of two photographs, and the mean ab error against the truth:

- crops: two overlapping parts of each photograph; all parts are one album.
- zoomed: the same, but the second part is enlarged by 1.28, paler and darker.
- unrelated: the photographs themselves as one album; how many of them change?
- each clip: frames of it, some apart, as an album; at places that look the same in both.
"""

import argparse
import itertools
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from colourizer.colour.metrics import ab_error
from colourizer.colour.space import rgb_to_lab
from colourizer.inference.album import Album
from colourizer.inference.album_study import Workers, study_album
from colourizer.inference.colourizer import Colourizer
from colourizer.inference.output_plan import Job
from colourizer.inference.preprocess import reduced_lightness
from colourizer.inference.run import pixels_in_flight
from colourizer.inference.upsample import upsample
from colourizer.network.checkpoint import BUNDLED
from colourizer.photos.files import evenly_spaced, find_photos
from colourizer.photos.read import read_photo, read_rgb
from colourizer.runtime.array_file import ArrayFile
from colourizer.runtime.interrupt import Interrupt
from colourizer.runtime.process import count_cores

SIDE, WHOLE = 256, 320  # pixels: of a part, and of what it is cut from
ZOOMED = (80, 60, 200)  # pixels: left, top and side of the part that is enlarged to SIDE
CONTRAST, DARKEST, GAMMA = 0.7, 0.12, 0.8  # of that part
FRAMES, FRAMES_APART = 12, 3  # of a clip
STILL = 1.0  # Lab units: places whose lightness differs by less look the same
LANCZOS = Image.Resampling.LANCZOS


@dataclass(frozen=True)
class Shown:
    """A photograph of the album: in colour, and as it is coloured.

    true, alone, together: ab (2, H, W) in Lab units: its own, one by one, as an album.
    """

    lightness: Tensor  # (1, H, W)
    true: Tensor
    alone: Tensor
    together: Tensor

    @property
    def changed(self) -> bool:
        """Whether the album gave it other colours."""
        return not torch.equal(self.alone, self.together)


def show(images: list[tuple[Image.Image, Image.Image]], colourizer: Colourizer) -> list[Shown]:
    """Colour photographs one by one and as an album.

    Args:
        images: of each the truth, and the grey image that is coloured, of the same size.
        colourizer: the network.
    """
    with tempfile.TemporaryDirectory() as folder, ArrayFile() as file:
        jobs = []
        for number, (_, grey) in enumerate(images):
            path = Path(folder) / f"{number:05}.png"
            grey.save(path)
            jobs.append(Job(path, [path.with_suffix(".colour.png")]))
        workers = Workers(count_cores(), pixels_in_flight(), Interrupt())
        album = study_album(jobs, colourizer, file, workers)
        pairs = zip(jobs, images, strict=True)
        return [colour(job.source, true, album, colourizer) for job, (true, _) in pairs]


def colour(path: Path, true: Image.Image, album: Album, colourizer: Colourizer) -> Shown:
    """Colour one photograph with and without its album."""
    lab = rgb_to_lab(torch.from_numpy(np.array(true)).movedim(-1, 0) / 255)
    (prediction,) = colourizer.predict([reduced_lightness(read_photo(path).pixels)])
    alone, together = (
        upsample(each.ab(colourizer.look), true.height, true.width)
        for each in (prediction, album.share(path, prediction))
    )
    return Shown(lab[:1], lab[1:], alone, together)


def overlap(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Return the ab (2, H, W) of two corner parts where they overlap."""
    edge = WHOLE - SIDE
    return one[:, edge:, edge:], other[:, :-edge, :-edge]


def zoomed_overlap(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Return the ab (2, H, W) of the first corner part and of ZOOMED where they overlap."""
    left, top, side = ZOOMED
    reduced = F.interpolate(other[None], (side, side), mode="bilinear", antialias=True)[0]
    bottom, right = min(SIDE, top + side), min(SIDE, left + side)
    return one[:, top:bottom, left:right], reduced[:, : bottom - top, : right - left]


def cut_parts(path: Path) -> dict[str, list[tuple[Image.Image, Image.Image]]]:
    """Return pairs of parts of a photograph, in colour and in grey, by what is measured."""
    whole = ImageOps.fit(read_rgb(path, shortest_side=WHOLE), (WHOLE, WHOLE), LANCZOS)
    first = whole.crop((0, 0, SIDE, SIDE))
    second = whole.crop((WHOLE - SIDE, WHOLE - SIDE, WHOLE, WHOLE))
    left, top, side = ZOOMED
    third = whole.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), LANCZOS)
    pale = (np.asarray(third.convert("L")) / 255) ** GAMMA * CONTRAST + DARKEST
    third_grey = Image.fromarray((pale * 255).round().astype(np.uint8))
    both = [(image, image.convert("L")) for image in (first, second)]
    return {"crops": both, "zoomed": [both[0], (third, third_grey)]}


def read_frames(path: Path) -> list[tuple[Image.Image, Image.Image]]:
    """Return frames of a film, in colour and in grey."""
    import av  # of the extra "film"

    images = []
    with av.open(str(path)) as film:
        for number, frame in enumerate(film.decode(video=0)):
            if number % FRAMES_APART == 0:
                image = frame.to_image()
                image.thumbnail((2 * SIDE, 2 * SIDE), LANCZOS)
                images.append((image, image.convert("L")))
            if len(images) == FRAMES:
                break
    return images


def still(one: Shown, other: Shown, which: Callable[[Shown], Tensor]) -> float:
    """Return the mean distance of two frames' ab where their lightness is the same."""
    same = (one.lightness - other.lightness).abs()[0] < STILL
    return (which(one) - which(other)).norm(dim=0)[same].mean().item()


def report(name: str, distances: list[tuple[float, float]], shown: list[Shown]) -> None:
    """Print a row of the table; of distances, one by one and as an album."""
    errors = [(ab_error(s.alone, s.true), ab_error(s.together, s.true)) for s in shown]
    cells = []
    for pairs in (distances, errors):
        if pairs:
            alone, together = (statistics.fmean(values) for values in zip(*pairs, strict=True))
            cells.append(f"{alone:6.2f} -> {together:6.2f}  x{together / max(alone, 1e-9):5.3f}")
        else:
            cells.append(" " * 24)
    changed = sum(s.changed for s in shown)
    print(f"{name:16} {cells[0]}   {cells[1]}   {changed:4} of {len(shown)} changed", flush=True)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER", help="photographs in colour")
    add("--checkpoint", type=Path, default=BUNDLED, metavar="FILE")
    add("--limit", type=int, default=200, metavar="N", help="parts of N photographs (%(default)s)")
    add("--unrelated", type=int, default=300, metavar="N", help="N whole ones (%(default)s)")
    add("--clip", type=Path, action="append", default=[], metavar="FILM", help="in colour")
    args = parser.parse_args()
    colourizer = Colourizer.load(args.checkpoint)
    found = find_photos(args.folder)
    print(f"{'':16} {'difference':24}   {'ab error':24}")
    parts = [cut_parts(path) for path in evenly_spaced(found, args.limit)]
    for name, cut in (("crops", overlap), ("zoomed", zoomed_overlap)):
        shown = show([image for part in parts for image in part[name]], colourizer)
        distances = [
            (
                ab_error(*cut(one.alone, other.alone)),
                ab_error(*cut(one.together, other.together)),
            )
            for one, other in zip(shown[::2], shown[1::2], strict=True)
        ]
        report(name, distances, shown)
    unrelated = evenly_spaced(found, args.unrelated)
    whole = [read_rgb(path, shortest_side=SIDE) for path in unrelated]
    report("unrelated", [], show([(image, image.convert("L")) for image in whole], colourizer))
    for clip in args.clip:
        shown = show(read_frames(clip), colourizer)
        distances = [
            (still(one, other, lambda s: s.alone), still(one, other, lambda s: s.together))
            for one, other in itertools.pairwise(shown)
        ]
        report(clip.stem, distances, shown)


if __name__ == "__main__":
    main()
