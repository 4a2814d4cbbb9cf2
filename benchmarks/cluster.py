"""Benchmark: colourize.py on a Ray actor and from S3, beside the plain command; memory of a driver.

`python benchmarks/cluster.py` makes photographs of 2 megapixels in a temporary folder and runs the
commands in turn; compare the ratios. S3 is moto's server, on this machine: the time that it takes
itself is measured too. Memory is that of a million keys which are listed but do not exist.
"""

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from benchmarks.sample_photos import add_grain  # noqa: E402
from colourizer.inference.streaming import READING_THREADS  # noqa: E402
from colourizer.runtime.process import count_cores  # noqa: E402
from colourizer.storage.address import Address  # noqa: E402
from colourizer.storage.connection import open_storage  # noqa: E402
from colourizer.storage.files import exists, read_bytes, write_whole  # noqa: E402

SIZE = 1632, 1224  # pixels: 2 megapixels
SMALL_RAY = {"RAY_num_prestart_python_workers": "0", "RAY_enable_metrics_collection": "0"}
# The command, with a listing of so many keys of a bucket that does not exist; all results "exist".
LISTED = """
import os, sys
sys.path.insert(0, {root!r})
import colourize
from colourizer.inference import cluster, output_plan, stream_listing
from colourizer.storage.listing import Listed

def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(line.split()[1] for line in lines if line.startswith("VmHWM"))

def list_keys(folder):
    for n in range(int(sys.argv[1])):
        below = f"{{n // 1000:06}}/scan{{n:09}}.tif"
        yield Listed(folder / below, below, 1_000_000)

class Worker(cluster.Worker):
    def __init__(self, task):
        output_plan.exists = lambda address: True
        super().__init__(task)

    def colourize(self, group):
        outcomes = super().colourize(group)
        open({actor!r}, "w").write(peak())
        return outcomes

stream_listing.iterate_files, stream_listing.is_folder = list_keys, lambda path: True
colourize.check_output, cluster.Worker = lambda output: None, Worker
code = colourize.main(["s3://scans", "-o", "s3://colour", "--ray", "local", "--device", "cpu"])
open({driver!r}, "w").write(peak())
sys.exit(code)
"""


def make_photos(folder: Path, count: int) -> None:
    """Write grey JPEGs of SIZE: a few different ones, copied."""
    folder.mkdir()
    for n, sample in enumerate(sorted((ROOT / "data" / "samples").glob("*.jpg"))[:4]):
        image = Image.open(sample).convert("L").resize(SIZE, Image.Resampling.BICUBIC)
        grained = add_grain(image, np.random.default_rng(n)).astype(np.uint8)
        Image.fromarray(grained).save(folder / f"photo{n:05}.jpg", quality=90)
    for n in range(4, count):
        shutil.copyfile(folder / f"photo{n % 4:05}.jpg", folder / f"photo{n:05}.jpg")


def run_command(*args: object) -> tuple[float, float]:
    """Run colourize.py; return photographs per second, all in all and once the first are done."""
    command = [sys.executable, str(ROOT / "colourize.py"), *map(str, args), "--device", "cpu"]
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        assert process.stdout
        times = [time.perf_counter() for _ in process.stdout]
        code = process.wait()
        errors.seek(0)
        said = errors.read()
    if code:
        raise SystemExit(f"colourize.py failed: {said}")
    summary = next(line for line in said.splitlines() if "colourized" in line)
    warm = len(times) // 5  # actors start, caches fill
    steady = (len(times) - 1 - warm) / (times[-1] - times[warm])
    return float(summary.split("(")[1].split()[0]), steady


@contextlib.contextmanager
def serve_s3() -> Iterator[None]:
    """Run the stand-in for S3 as a process of its own, with the buckets scans and colour."""
    server = subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "support" / "s3_server.py")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.stdout and server.stdin
    os.environ["AWS_ENDPOINT_URL"] = server.stdout.readline().strip()
    os.environ |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    os.environ["AWS_DEFAULT_REGION"] = "us-east-1"
    try:
        storage, _ = open_storage(Address("s3://", "scans"))
        storage.mkdir("scans")
        storage.mkdir("colour")
        yield
    finally:
        server.stdin.close()
        server.wait()


def storage_rate(photos: list[Path], coloured: Path, number: int) -> float:
    """Return the photographs per second of reading from S3 and writing to it, and nothing else."""

    def copy(path: Path) -> None:
        target = Address("s3://", f"colour/alone{number}/{path.name}")
        if not exists(target):
            read_bytes(Address("s3://", f"scans/in/{path.name}"))
            write_whole(target, (coloured / path.name).read_bytes())

    begun = time.perf_counter()
    with ThreadPoolExecutor(READING_THREADS * count_cores()) as pool:
        list(pool.map(copy, photos))
    return len(photos) / (time.perf_counter() - begun)


def measure_rates(folder: Path, count: int, rounds: int) -> None:
    """Print photographs per second: plain, on an actor, and from and to S3."""
    make_photos(folder / "in", count)
    photos = sorted((folder / "in").iterdir())
    rows = []
    with serve_s3():
        for path in photos:
            write_whole(Address("s3://", f"scans/in/{path.name}"), path.read_bytes())
        for n in range(rounds):  # in turn, so that load affects all alike
            plain = run_command(folder / "in", "-o", folder / f"plain{n}")
            ray = run_command(folder / "in", "-o", folder / f"ray{n}", "--ray", "local")
            alone = storage_rate(photos, folder / f"plain{n}", n)
            s3 = run_command("s3://scans/in", "-o", f"s3://colour/{n}")
            limit = 1 / (1 / alone + 1 / plain[1])
            rows.append((plain[1], *ray, ray[1] / plain[1], alone, s3[1], s3[1] / limit))
            for name in ("plain", "ray"):
                shutil.rmtree(folder / f"{name}{n}")
    plain_rate, whole, steady, over, alone, s3_rate, over_limit = (
        statistics.median(column) for column in zip(*rows, strict=True)
    )
    print(f"{count} photographs of 2 megapixels, {count_cores()} cores; photographs per second")
    print(f"plain command                     {plain_rate:8.2f}")
    print(f"one actor of Ray                  {steady:8.2f}   over the plain command {over:.2f}")
    print(f"  with its start                  {whole:8.2f}")
    print(f"S3, reading and writing alone     {alone:8.2f}")
    print(f"S3, coloured                      {s3_rate:8.2f}   over both in turn {over_limit:.2f}")


def measure_memory(folder: Path, counts: list[int]) -> None:
    """Print the peak memory of driver and actor, by the number of keys that are listed."""
    for count in counts:
        driver, actor = folder / "driver", folder / "actor"
        program = LISTED.format(root=str(ROOT), driver=str(driver), actor=str(actor))
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", program, str(count)],
            capture_output=True, text=True, check=False, cwd=ROOT, env=os.environ | SMALL_RAY,
        )  # fmt: skip
        if done.returncode or f"{count} skipped" not in done.stderr:
            raise SystemExit(f"listing {count} keys failed: {done.stderr}")
        seconds = time.perf_counter() - begun
        peaks = [int(path.read_text()) * 1024 / 1e6 for path in (driver, actor)]
        print(
            f"{count:9,} keys: driver {peaks[0]:5.0f} MB, actor {peaks[1]:5.0f} MB, "
            f"{count / seconds:6.0f} keys/s"
        )


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--photos", type=int, default=2000, metavar="N", help="how many (default: 2000)")
    add("--rounds", type=int, default=3, metavar="N", help="the median of N runs (default: 3)")
    add("--keys", type=int, nargs="*", default=[10_000, 100_000, 1_000_000], metavar="N",
        help="listed for memory (default: 10000 100000 1000000)")  # fmt: skip
    return parser.parse_args()


def main() -> None:
    """Run all benchmarks and print their figures."""
    args = parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if args.photos:
            measure_rates(folder, args.photos, args.rounds)
        measure_memory(folder, args.keys)


if __name__ == "__main__":
    main()
