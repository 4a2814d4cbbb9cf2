"""Benchmark: data_transformer.py beside its codec, reading from the cache, the training loader.

`python benchmarks/data.py` makes photographs in a temporary folder by enlarging
data/samples_in_colour and adding grain. All figures are of one run on one machine; compare the
ratios. `--photos FOLDER` also measures how many copies of a folder's photographs are found, and how
many of them, made grey and sepia, are classified correctly.
"""

import argparse
import io
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from PIL import Image, ImageOps  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402

import data_transformer  # noqa: E402
import train  # noqa: E402
from benchmarks.sample_photos import grained_part  # noqa: E402
from colourizer.curation.duplicates import find_duplicates  # noqa: E402
from colourizer.curation.screening import reason_to_reject  # noqa: E402
from colourizer.network.device import pick_device  # noqa: E402
from colourizer.photos.errors import PhotoError  # noqa: E402
from colourizer.photos.files import evenly_spaced, find_photos  # noqa: E402
from colourizer.runtime.process import count_cores, keep_freed_memory  # noqa: E402
from colourizer.training.batches import (  # noqa: E402
    CropDataset,
    CropSampler,
    EpochConfig,
    ThreadedLoader,
    identity_collate,
)
from colourizer.training.crops import CropBatch, CropConfig, make_batch  # noqa: E402
from colourizer.training.data import VALIDATION_SIDE, TrainingSet, read_training_set  # noqa: E402
from colourizer.training.photo_cache import DecodedPhoto, PhotoCache  # noqa: E402
from colourizer.training.state import build_network, new_state  # noqa: E402
from data_transformer import COPY_JPEG_QUALITY, OVERSAMPLING  # noqa: E402

LARGE, MIDDLE = (4000, 3000), (1632, 1224)  # pixels: 12 and 2 megapixels
TRANSFORMED, READ, SIDE = 48, 192, 256  # photographs; photographs; pixels of the crops
CROPS, STEPS = 6000, 5  # that the loader cuts; that the network takes
# Sepia tones: the colours that black, middle grey and white become.
TONES = (
    ((30, 20, 10), (140, 120, 95), (250, 235, 210)),
    ((20, 10, 0), (150, 115, 75), (255, 240, 200)),
    ((40, 26, 13), (160, 125, 85), (255, 228, 181)),
    ((25, 20, 18), (135, 122, 110), (245, 236, 224)),
)
STRENGTHS = (0.4, 0.55, 0.7, 0.85, 1.0)  # of a tone, against plain grey
COPIED, COLOURED, GREYED = 100, 100, 50  # photographs; sepia are as many as tones and strengths


def make_photos(folder: Path, count: int, size: tuple[int, int], different: int) -> None:
    """Write photographs in colour: parts of the samples, enlarged and grained; some are copies."""
    folder.mkdir(parents=True)
    samples = find_photos(ROOT / "data" / "samples_in_colour")
    for n in range(count):
        path = folder / f"photo{n:03}.jpg"
        if n >= different:
            shutil.copyfile(folder / f"photo{n % different:03}.jpg", path)
        else:
            grained_part(samples[n % len(samples)], size, 0.6, seed=n).save(path, quality=90)


def rate_of(do: Callable[[], int]) -> float:
    """Return how many a second a function does; it returns how many it did."""
    begun = time.perf_counter()
    done = do()
    return done / (time.perf_counter() - begun)


def run_transformer(source: Path, out: Path, options: tuple[str, ...]) -> int:
    """Run data_transformer.py in this process, without start-up; return the number of photos."""
    with redirect_stderr(io.StringIO()) as errors:
        code = data_transformer.main([str(source), str(out), *options])
    if code:
        raise SystemExit(f"data_transformer.py failed: {errors.getvalue()}")
    return len(find_photos(source))


def codec_limit(source: Path, out: Path, results: int) -> int:
    """Decode at reduced scale, resize and encode by Pillow alone, in as many threads.

    Returns the number of photographs.

    Args:
        source: the photographs.
        out: gets the results.
        results: how many are made of each photograph.
    """
    out.mkdir()
    paths = find_photos(source)

    def rewrite(path: Path) -> None:
        with Image.open(path) as image:
            image.draft(None, (OVERSAMPLING * SIDE, OVERSAMPLING * SIDE))
            image.load()
            for n in range(results):
                small = image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
                small.save(out / f"{path.stem}_{n}.jpg", quality=COPY_JPEG_QUALITY)

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(rewrite, paths))
    return len(paths)


def measure_transformer(folder: Path, rounds: int) -> None:
    """Print how fast data_transformer.py is beside its codec."""
    make_photos(folder / "in", TRANSFORMED, LARGE, different=4)
    print(f"data_transformer.py, {TRANSFORMED} JPEGs of 12 megapixels, {os.cpu_count()} threads")
    print(f"{'':21}  photos/s  decode (reduced) + resize + encode  ratio  files of each")
    for options in ((), ("--rotations", "0"), ("--rotations", "3", "--fit")):
        rows = []
        for _ in range(rounds):  # alternating, so that load on the machine affects both
            ours = rate_of(partial(run_transformer, folder / "in", folder / "out", options))
            results = len(find_photos(folder / "out")) // TRANSFORMED
            limit = rate_of(partial(codec_limit, folder / "in", folder / "codec", results))
            rows.append((ours, limit, ours / limit))
            shutil.rmtree(folder / "out")
            shutil.rmtree(folder / "codec")
        ours, limit, ratio = (statistics.median(column) for column in zip(*rows, strict=True))
        name = " ".join(options) or "default options"
        print(f"{name:21}  {ours:8.1f}  {limit:34.1f}  {ratio:5.2f}  {results:13}")


def measure_reading(folder: Path, rounds: int) -> TrainingSet:
    """Print how fast photographs are read, decoded and from the cache; return them."""
    make_photos(folder / "album", READ, MIDDLE, different=READ)
    side = round(train.CROP_MARGIN * SIDE)
    rows = []
    for _ in range(rounds):
        shutil.rmtree(folder / "cache", ignore_errors=True)
        begun = time.perf_counter()
        read_training_set([folder / "album"], None, side, folder / "cache")
        first = READ / (time.perf_counter() - begun)
        begun = time.perf_counter()
        data = read_training_set([folder / "album"], None, side, folder / "cache")
        second = READ / (time.perf_counter() - begun)
        if data.reused != READ:
            raise SystemExit(f"only {data.reused} of {READ} photographs came from the cache")
        rows.append((first, second, second / first))
    first, second, ratio = (statistics.median(column) for column in zip(*rows, strict=True))
    print(f"\nreading {READ} JPEGs of 2 megapixels, photos/s")
    print(f"first run: {first:.0f}; from the cache: {second:.0f}; ratio: {ratio:.1f}")
    return data


def in_batches(data: TrainingSet) -> CropSampler:
    """Return the batches of CROPS crops, of as many epochs as that takes."""
    size = train.parse_args([]).batch_size
    batches = CropSampler(len(data.train), EpochConfig(size, 0, 0))
    for epoch in range(1, CROPS // len(data.train)):
        batches.batches += CropSampler(len(data.train), EpochConfig(size, 0, epoch)).batches
    return batches


def read_bare(data: TrainingSet) -> int:
    """Copy CROPS photographs out of the cache; return CROPS."""
    for n in range(CROPS):
        data.train[n % len(data.train)].clone()
    return CROPS


def load(data: TrainingSet, processes: int) -> int:
    """Load crops as train.py does, in threads or in worker processes; return how many."""
    crops, batches = CropDataset(data.train, CropConfig(SIDE)), in_batches(data)
    loader: Iterable[CropBatch] = ThreadedLoader(crops, batches)
    if processes:
        loader = DataLoader(
            crops, batch_sampler=batches, num_workers=processes, collate_fn=identity_collate
        )
    return sum(len(batch.rgb) for batch in loader)


def train_steps() -> Callable[[], int]:
    """Return a function that takes STEPS steps of train.py's defaults on random images."""
    options = train.parse_args([])
    device = pick_device(options.device)
    state = new_state(build_network(options)[0], device, options, photographs="")
    state.model.train()
    photos = list(torch.randint(256, (options.batch_size, 3, SIDE, SIDE), dtype=torch.uint8))
    batch = make_batch(photos, range(len(photos)), CropConfig(SIDE), range(len(photos)))

    def steps(count: int = STEPS) -> int:
        for _ in range(count):
            moved = batch.to(device)
            train.train_step(state, state.model, moved, options, options.learning_rate, weight=1)
        return count * options.batch_size

    steps(1)  # warm
    return steps


def measure_loader(data: TrainingSet, rounds: int) -> None:
    """Print how many images a second the loader brings, and how many the network takes."""
    cores, steps = count_cores(), train_steps()
    threads = torch.get_num_threads()
    ways: dict[str, Callable[[], int]] = {
        "bare reading": partial(read_bare, data),
        f"loader, {cores} threads": partial(load, data, 0),
        f"loader, {cores} processes": partial(load, data, cores),
        "network": steps,
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            rates[name].append(rate_of(way))
            torch.set_num_threads(threads)
    network = rates["network"]
    device = pick_device("auto").type
    print(f"\ntraining at {SIDE} px, batches of {train.parse_args([]).batch_size}, on {device}")
    print(f"{'':25}  images/s  ratio to network")
    for name, of_rounds in rates.items():
        ratio = statistics.median(a / b for a, b in zip(of_rounds, network, strict=True))
        print(f"{name:25}  {statistics.median(of_rounds):8.0f}  {ratio:16.1f}")


def read_photos(paths: list[Path]) -> Iterator[tuple[Path, DecodedPhoto]]:
    """Yield photographs as the cache decodes them; those that cannot be read are left out."""
    for path, photo in PhotoCache(None, VALIDATION_SIDE).read_all(paths):
        if not isinstance(photo, PhotoError):
            yield path, photo


def measure_copies(photos: list[Path], folder: Path) -> None:
    """Print the shares of copies and of different photographs that are found as duplicates."""
    chosen = evenly_spaced(photos, COPIED)
    kinds = ("reduced to 0.4", "JPEG of quality 30", "cropped by 2%")
    copies: dict[str, list[Path]] = {kind: [] for kind in kinds}
    folder.mkdir()
    for n, path in enumerate(chosen):
        image = Image.open(path).convert("RGB")
        width, height = image.size
        variants = (
            image.resize((round(0.4 * width), round(0.4 * height)), Image.Resampling.LANCZOS),
            image,
            ImageOps.crop(image, (round(0.01 * width), round(0.01 * height))),
        )
        for m, (kind, variant) in enumerate(zip(kinds, variants, strict=True)):
            copies[kind].append(folder / f"{n}_{m}.jpg")
            variant.save(copies[kind][-1], quality=30 if "30" in kind else 90)
    paths = [*chosen, *(path for kind in kinds for path in copies[kind])]
    read = [(path, photo.dhash) for path, photo in read_photos(paths)]
    found = {read[n][0] for n in find_duplicates([found_hash for _, found_hash in read])}
    print(f"\ncopies found, of {len(chosen)} photographs")
    for kind in kinds:
        print(f"{kind:25}  {len(found.intersection(copies[kind])) / len(chosen):.0%}")
    print(f"{'other photographs':25}  {len(found.intersection(chosen)) / len(chosen):.0%}")


def measure_screening(photos: list[Path], folder: Path) -> None:
    """Print how many photographs in colour, in grey and in sepia are classified correctly."""
    tones = [(tone, strength) for tone in TONES for strength in STRENGTHS]
    chosen = evenly_spaced(photos, COLOURED + GREYED + len(tones))
    coloured = evenly_spaced(chosen, COLOURED)
    rest = [path for path in chosen if path not in set(coloured)]
    folder.mkdir()
    made: dict[str, list[Path]] = {"in colour": coloured, "grey": [], "sepia": []}
    for n, path in enumerate(rest[:GREYED]):
        grey = Image.open(path).convert("L")
        made["grey"].append(folder / f"grey{n}.jpg")
        grey.convert("L" if n % 2 else "RGB").save(made["grey"][-1], quality=(60, 85, 95)[n % 3])
    for n, (path, (tone, strength)) in enumerate(zip(rest[GREYED:], tones, strict=False)):
        grey = Image.open(path).convert("L")
        black, middle, white = tone
        sepia = ImageOps.colorize(grey, black, white, middle)
        made["sepia"].append(folder / f"sepia{n}.jpg")
        sepia = Image.blend(grey.convert("RGB"), sepia, strength)
        sepia.save(made["sepia"][-1], quality=(60, 85, 95)[n % 3])
    print("\njudged right by screening.py")
    for kind, paths in made.items():
        objections = {
            path: reason_to_reject(photo.statistics) for path, photo in read_photos(paths)
        }
        wrong = [path for path, why in objections.items() if bool(why) != (kind != "in colour")]
        print(f"{kind:25}  {len(paths) - len(wrong)} of {len(paths)}", *(p.name for p in wrong))


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--rounds", type=int, default=3, metavar="N", help="the median of N runs (default: 3)")
    add("--photos", type=Path, metavar="FOLDER",
        help="also copies of this folder's photographs, and grey and sepia ones")  # fmt: skip
    return parser.parse_args()


def main() -> None:
    """Run the command."""
    args = parse_args()
    keep_freed_memory()  # as train.py does
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measure_transformer(folder, args.rounds)
        measure_loader(measure_reading(folder, args.rounds), args.rounds)
        if args.photos:
            photos = find_photos(args.photos)
            measure_copies(photos, folder / "copies")
            measure_screening(photos, folder / "screening")


if __name__ == "__main__":
    main()
