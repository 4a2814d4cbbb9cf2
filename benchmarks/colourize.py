"""Benchmark: colourize.py beside its codecs alone and its network alone.

`python benchmarks/colourize.py` makes photographs in a temporary folder by enlarging data/samples
and adding grain, and prints a row for each kind. All figures are of one run on one machine; compare
the ratios. The network alone gets batches, as in use.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from PIL import Image, ImageOps  # noqa: E402
from simplejpeg import decode_jpeg, encode_jpeg_yuv_planes  # noqa: E402

from benchmarks.sample_photos import add_grain  # noqa: E402
from colourizer.inference.colourizer import Colourizer  # noqa: E402
from colourizer.inference.lightness import to_grey  # noqa: E402
from colourizer.inference.preprocess import network_input, reduced_lightness  # noqa: E402
from colourizer.inference.recombine import ycbcr_planes  # noqa: E402
from colourizer.network.checkpoint import BUNDLED, build_model, load_checkpoint  # noqa: E402
from colourizer.network.fast.packed_conv import pack_convolutions  # noqa: E402
from colourizer.network.prepare import fold_batch_norm  # noqa: E402
from colourizer.photos.encode import SAVE_OPTIONS  # noqa: E402
from colourizer.photos.photo import Photo  # noqa: E402
from colourizer.photos.read import read_photo  # noqa: E402
from colourizer.photos.write import write_photo  # noqa: E402
from colourizer.runtime.process import count_cores, keep_freed_memory  # noqa: E402

# name -> (width, height, suffix, photographs, options of colourize.py)
KINDS = {
    "12 MP JPEG": (4000, 3000, ".jpg", 384, ()),
    "the same, --keep-luma": (4000, 3000, ".jpg", 384, ("--keep-luma",)),
    "2 MP JPEG": (1632, 1224, ".jpg", 768, ()),
    "0.5 MP JPEG": (816, 612, ".jpg", 1536, ()),
    "12 MP sepia JPEG": (4000, 3000, ".jpeg", 48, ()),
    "12 MP PNG": (4000, 3000, ".png", 48, ()),
    "12 MP 16-bit TIFF": (4000, 3000, ".tif", 24, ()),
}
PEAK_OF_CHILD = (
    "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:], stdout=-3); "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(done.returncode)"
)
SCAN = (11_180, 8_944)  # pixels: the 100-megapixel scan of --scan


def grained(path: Path, width: int, height: int, seed: int) -> np.ndarray:
    """Return a photograph enlarged, with grain added: grey (height, width), float, [0, 255]."""
    image = Image.open(path).convert("L").resize((width, height), Image.Resampling.BICUBIC)
    return add_grain(image, np.random.default_rng(seed))


def make_photos(folder: Path, kind: str) -> list[Path]:
    """Write the photographs of a kind; a few different ones, copied."""
    width, height, suffix, count, _ = KINDS[kind]
    folder.mkdir(parents=True)
    samples = sorted((ROOT / "data" / "samples").glob("*.jpg"))[:4]
    originals = []
    for n, sample in enumerate(samples):
        grey = grained(sample, width, height, n)
        path = folder / f"photo{n}{suffix}"
        if suffix == ".tif":
            Image.fromarray((grey * 257).astype(np.uint16)).save(path)
        else:
            image = Image.fromarray(grey.astype(np.uint8))
            if suffix == ".jpeg":
                image = ImageOps.colorize(image, (30, 20, 10), (250, 235, 210))
            image.save(path, quality=90, compress_level=1)
        originals.append(path)
    copies = [folder / f"photo{n}{suffix}" for n in range(len(originals), count)]
    for n, path in enumerate(copies):
        shutil.copyfile(originals[n % len(originals)], path)
    return [*originals, *copies]


def truncate_files(folder: Path) -> None:
    """Truncate a folder's files to 0 bytes: their disk space is free, their inodes stay in use.

    ext4 does not reuse a removed file's inode for a while, and searches all of those for each new
    file: up to a tenth of the time of small photographs, which would not be lost in normal use.
    """
    for path in folder.iterdir():
        os.truncate(path, 0)


def flush_disk_cache() -> None:
    """Write the system's file cache to disk, so that what is timed next does not wait for it."""
    if hasattr(os, "sync"):
        os.sync()


def run_command(*args: object) -> tuple[float, float, int]:
    """Run colourize.py; return total seconds, seconds without start-up, peak memory in bytes."""
    command = [sys.executable, str(ROOT / "colourize.py"), *map(str, args)]
    flush_disk_cache()
    begun = time.perf_counter()
    # By way of a small process: a child's peak memory starts at its parent's, which is high here.
    done = subprocess.run(
        [sys.executable, "-c", PEAK_OF_CHILD, *command],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    seconds = time.perf_counter() - begun
    if done.returncode:
        raise SystemExit(f"colourize.py failed: {done.stderr}")
    summary = done.stderr.splitlines()[-1]
    coloured, rate = int(summary.split()[0]), float(summary.split("(")[1].split()[0])
    scale = 1 if sys.platform == "darwin" else 1024
    return seconds, coloured / rate, int(done.stdout.split()[-1]) * scale


def codec_limit(photos: list[Path], out: Path, colourizer: Colourizer, by_pillow: bool) -> float:
    """Return the photographs per second of decoding and encoding alone, in as many threads.

    JPEGs are compressed whole, luma too, which --keep-luma does not do.

    Args:
        photos: what is decoded.
        out: a folder for the files, which are truncated in the end.
        colourizer: colours a few of them before the time is taken.
        by_pillow: JPEG and PNG are written by Pillow, as most programs do, and JPEG read by it;
            otherwise by the libraries and with the settings of colourize.py. TIFF is always written
            by our own encoder; PNG and TIFF are always read by Pillow.
    """
    out.mkdir()
    is_jpeg = photos[0].suffix in (".jpg", ".jpeg")
    is_pillows = by_pillow and photos[0].suffix != ".tif"  # Pillow has no 16-bit RGB
    coloured: list[Any] = []
    for path in photos[:4]:
        pixels = read_photo(path).pixels
        if is_jpeg and not by_pillow:
            (prediction,) = colourizer.predict([reduced_lightness(pixels)])
            ab = prediction.ab(colourizer.look)
            coloured.append(ycbcr_planes(to_grey(pixels), ab))
            continue
        rgb = colourizer.colourize(pixels)
        mode = "YCbCr" if is_jpeg else "RGB"
        coloured.append(Image.fromarray(rgb).convert(mode) if is_pillows else rgb)

    def rewrite(item: tuple[int, Path]) -> None:
        n, path = item
        picture, to = coloured[n % len(coloured)], out / path.name
        if by_pillow or not is_jpeg:
            with Image.open(path) as image:
                image.load()
        else:
            decode_jpeg(path.read_bytes(), "RGB" if path.suffix == ".jpeg" else "GRAY")
        if is_pillows:
            picture.save(to, **(SAVE_OPTIONS["JPEG"] if is_jpeg else {"compress_level": 1}))
        elif not is_jpeg:
            write_photo(
                to, picture, Photo(picture[..., 0], "TIFF" if to.suffix == ".tif" else "PNG")
            )
        else:
            luma, chroma = picture
            quality = SAVE_OPTIONS["JPEG"]["quality"]
            to.write_bytes(encode_jpeg_yuv_planes(luma, *chroma, quality=quality))

    flush_disk_cache()
    begun = time.perf_counter()
    with ThreadPoolExecutor(count_cores()) as pool:
        list(pool.map(rewrite, enumerate(photos)))
    seconds = time.perf_counter() - begun
    truncate_files(out)
    return len(photos) / seconds


@torch.inference_mode()
def network_latency(small: torch.Tensor, runs: int = 20) -> float:
    """Return the network's latency in milliseconds, in fp32 and on all cores.

    Args:
        small: lightness (1, 1, h, w), from `network_input`.
        runs: how many, of which the median is taken.
    """
    in_fp32 = build_model(load_checkpoint(BUNDLED), BUNDLED).eval()
    fold_batch_norm(in_fp32)
    pack_convolutions(in_fp32)
    in_fp32.to(memory_format=torch.channels_last)
    in_fp32(small)
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        in_fp32(small)
        times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1000


def network_limit(colourizer: Colourizer, small: torch.Tensor, runs: int = 40) -> float:
    """Return the photographs per second of prediction and readout alone, in the precision used.

    Args:
        colourizer: the network.
        small: as for `network_latency`; each core gets batches of the colourizer's size.
        runs: how many batches.
    """
    batch = [small[0]] * colourizer.batch_size

    def predict(_: int) -> None:
        for prediction in colourizer.predict(batch):
            prediction.ab(colourizer.look)
            prediction.confidence()

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    begun = time.perf_counter()
    with ThreadPoolExecutor(
        count_cores(), initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        list(pool.map(predict, range(runs)))
    rate = runs * len(batch) / (time.perf_counter() - begun)
    torch.set_num_threads(threads)
    return rate


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--rounds", type=int, default=3, metavar="N", help="the median of N runs (default: 3)")
    add("--scan", action="store_true", help="also a scan of 100 megapixels: its peak memory")
    return parser.parse_args()


def main() -> None:
    """Run all benchmarks and print a table."""
    args = parse_args()
    keep_freed_memory()  # as colourize.py does
    colourizer = Colourizer.load(device="cpu")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first = make_photos(folder / "one", "0.5 MP JPEG")[0]
        starts = [run_command(first, "-o", folder / f"start{n}")[0] for n in range(args.rounds)]
        small = network_input(reduced_lightness(read_photo(first).pixels))
        latency, threads = network_latency(small), torch.get_num_threads()
        print(f"network at its default size: {latency:.0f} ms, {threads} threads, fp32")
        print(f"start-up to the first photograph done: {statistics.median(starts):.1f} s")
        print(
            f"{'':21}  photos/s  codec alone  ours / codec  network alone  "
            "(codec + network) / ours  Pillow alone  ours / Pillow  peak memory"
        )
        for number, kind in enumerate(KINDS):
            here = folder / str(number)
            photos = make_photos(here / "in", kind)
            rows = []
            for n in range(args.rounds):  # alternating, so that load affects all alike
                codec, pillow = (
                    codec_limit(photos, here / f"{name}{n}", colourizer, name == "pillow")
                    for name in ("codec", "pillow")
                )
                rate = network_limit(colourizer, small)
                out, options = here / f"out{n}", KINDS[kind][-1]
                _, seconds, memory = run_command(here / "in", "-o", out, *options)
                ours = len(photos) / seconds
                both = (1 / codec + 1 / rate) * ours
                rows.append((ours, codec, ours / codec, rate, both, pillow, ours / pillow, memory))
                truncate_files(out)
            truncate_files(here / "in")
            ours, codec, ratio, rate, both, pillow, faster, memory = (
                statistics.median(c) for c in zip(*rows, strict=True)
            )
            print(
                f"{kind:21}  {ours:8.2f}  {codec:11.2f}  {ratio:12.2f}  {rate:13.1f}  "
                f"{both:24.2f}  {pillow:12.2f}  {faster:13.2f}  {memory / 1e9:8.2f} GB"
            )
        if args.scan:
            (folder / "in").mkdir()
            sample = sorted((ROOT / "data" / "samples").glob("*.jpg"))[0]
            grey = grained(sample, *SCAN, 0).astype(np.uint8)
            Image.fromarray(grey).save(folder / "in" / "scan.jpg", quality=90)
            Image.fromarray(grey).save(folder / "in" / "scan.tif")
            for suffix in (".jpg", ".tif"):
                scan = folder / "in" / f"scan{suffix}"
                seconds, _, memory = run_command(scan, "-o", folder / "out")
                print(f"100 MP {suffix}: {seconds:.1f} s, peak memory {memory / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
