"""Benchmark: films at the pace of their codecs, and memory of a long film beside a short one.

`python benchmarks/film.py` makes a film of 720p in a temporary folder: a photograph of data/samples
over which a window moves, with grain. It is coloured, and decoded and encoded alone with the same
settings, in turn. Then a film of a minute and one of half an hour, of small frames, are coloured,
and the peak memory of either is told. All figures are of one machine.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import av  # noqa: E402
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from colourizer.film.container import film_target  # noqa: E402
from colourizer.film.encode import choose_settings, open_encoder  # noqa: E402
from colourizer.film.planes import luma_of, make_frame, view_plane  # noqa: E402
from colourizer.film.probe import probe_film  # noqa: E402
from colourizer.film.read import FilmReader  # noqa: E402
from colourizer.runtime.parallel import prefetch  # noqa: E402

RATE = Fraction(25)
GRAIN = 4.0  # standard deviation, in levels
GRAINS = 8  # different ones, which are repeated
PEAK_OF_CHILD = (
    "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:], stdout=-3); "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(done.returncode)"
)


def draw_frames(height: int, width: int, count: int) -> Iterator[np.ndarray]:
    """Yield frames (height, width) uint8: a window that moves over a photograph, with grain."""
    sample = sorted((ROOT / "data" / "samples").glob("*.jpg"))[1]
    side = max(height, width) * 5 // 4
    whole = np.asarray(Image.open(sample).convert("L").resize((side, side)), np.float32)
    rng = np.random.default_rng(0)
    grains = [rng.normal(0, GRAIN, (height, width)).astype(np.float32) for _ in range(GRAINS)]
    for n in range(count):
        y, x = (round((np.sin(n / 90 + k) + 1) / 2 * (side - size)) for k, size in
                enumerate((height, width)))  # fmt: skip
        frame = whole[y : y + height, x : x + width] + grains[n % GRAINS]
        yield frame.clip(0, 255).astype(np.uint8)


def make_film(path: Path, height: int, width: int, seconds: int, rate: Fraction = RATE) -> Path:
    """Write a grey film; return its path."""
    with av.open(str(path), "w") as container:
        options = {"preset": "veryfast", "crf": "16"}
        video: Any = container.add_stream("libx264", rate=rate, options=options)
        video.height, video.width, video.pix_fmt = height, width, "yuv420p"
        neutral = np.full((2, height // 2, width // 2), 128, np.uint8)
        for n, luma in enumerate(draw_frames(height, width, seconds * int(rate))):
            frame = make_frame(luma, neutral, "yuv420p")
            frame.pts = n
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


def recode(path: Path) -> float:
    """Decode and encode a film with the settings of colourize.py; return frames a second."""
    info = probe_film(path)
    settings = choose_settings(info, film_target(path))
    encoder = open_encoder(settings)
    count, begun = 0, time.perf_counter()
    for timed in prefetch(FilmReader(path, info).frames(), 8):
        luma = luma_of(timed.frame, info)
        chroma = np.stack([view_plane(plane, 8) for plane in timed.frame.planes[1:]])
        frame = make_frame(luma, chroma, settings.pixel_format)
        frame.pts = count
        encoder.encode(frame)
        count += 1
    encoder.encode(None)
    return count / (time.perf_counter() - begun)


def colourize(path: Path, out: Path) -> tuple[float, int]:
    """Run colourize.py on a film; return frames a second without start-up, and peak bytes."""
    command = [sys.executable, str(ROOT / "colourize.py"), str(path), "-o", str(out), "--overwrite"]
    done = subprocess.run(
        [sys.executable, "-c", PEAK_OF_CHILD, *command],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"colourize.py failed: {done.stderr}")
    rate = float(done.stderr.splitlines()[-1].split("(")[1].split()[0])
    return rate, int(done.stdout.split()[-1]) * (1 if sys.platform == "darwin" else 1024)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--rounds", type=int, default=3, metavar="N",
        help="the median of N runs; 0 leaves the pace out (default: 3)")  # fmt: skip
    add("--seconds", type=int, default=20, metavar="S", help="of the 720p film (default: 20)")
    add("--minutes", type=int, default=30, metavar="M",
        help="of the long film; 0 leaves memory out (default: 30)")  # fmt: skip
    add("--rate", type=Fraction, default=RATE, metavar="N",
        help="frames a second of the films of small frames (default: 25)")  # fmt: skip
    return parser.parse_args()


def main() -> None:
    """Run both benchmarks and print their figures."""
    args = parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if args.rounds:
            film = make_film(folder / "film.mp4", 720, 1280, args.seconds)
            rows = []
            for _ in range(args.rounds):
                alone = recode(film)
                rate, _ = colourize(film, folder / "out")
                rows.append((rate, alone, rate / alone))
            ours, alone, ratio = (statistics.median(column) for column in zip(*rows, strict=True))
            what = "720p: {:.1f} frames/s; decoding and encoding alone {:.1f}: {:.2f}"
            print(what.format(ours, alone, ratio), flush=True)
        if args.minutes:
            peaks = []
            for minutes in (1, args.minutes):
                film = make_film(folder / f"{minutes}.mp4", 96, 128, 60 * minutes, args.rate)
                peaks.append(colourize(film, folder / "out")[1])
            more = (peaks[1] - peaks[0]) / 1e6
            print(f"1 minute: {peaks[0] / 1e6:.0f} MB; {args.minutes}: {more:+.0f} MB")


if __name__ == "__main__":
    main()
