"""Benchmark: latency, throughput and memory of the page's server.

Starts app.py and sends the page's requests. For one photograph of 12 megapixels, it measures the
time from upload to the picture in colour, from a change of vividness or hints to the new picture,
and of the download. Then several clients upload at once: whether each answer shows the client's own
photograph, and by how much the server's memory grows.
"""

import argparse
import http.client
import io
import json
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

ROOT = Path(__file__).parent.parent
VIEW_SIDE = 1280  # pixels, as the page asks for


def make_photo(height: int, width: int, seed: int) -> bytes:
    """Return a grey JPEG of noise with as much detail as a photograph has."""
    chance = np.random.default_rng(seed)
    grey = Image.new("L", (width, height), 0)
    for size, share in ((8, 0.6), (64, 0.25), (512, 0.1), (2048, 0.05)):
        noise = (chance.random((size, size)) * 255).astype(np.uint8)
        layer = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
        grey = Image.fromarray(np.asarray(grey) + (np.asarray(layer) * share).astype(np.uint8))
    file = io.BytesIO()
    grey.save(file, "JPEG", quality=90)
    return file.getvalue()


def request(address: str, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
    """Send a request to the server at a printed address; return the response's status and body."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=120)
    with_token = f"{path}{'&' if '?' in path else '?'}{parts.query}"
    connection.request(method, with_token, body, {"X-Name": "photo.jpg"})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, content


def resident_megabytes(process: subprocess.Popen) -> float:
    """Return a process's resident memory in MB; Linux only."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def upload(address: str, photo: bytes) -> str:
    """Upload a photograph, again while the server is busy; return its key there."""
    while True:
        status, content = request(address, "POST", "/api/photos", photo)
        if status != 503:
            break
        time.sleep(1)
    if status != 200:
        raise SystemExit(f"{status}: {content!r}")
    return str(json.loads(content)["id"])


def get_coloured(address: str, key: str, settings: str) -> Image.Image:
    """Return a photograph in colour as the page shows it; settings are of the URL's query."""
    path = f"/api/photos/{key}/coloured?side={VIEW_SIDE}&{settings}"
    status, content = request(address, "GET", path)
    if status != 200:
        raise SystemExit(f"{status}: {content!r}")
    return Image.open(io.BytesIO(content))


def measure_one(address: str, photo: bytes) -> None:
    """Print the latencies that a user with one photograph sees."""
    begun = time.perf_counter()
    key = upload(address, photo)
    get_coloured(address, key, "vividness=0.5").load()
    print(f"12 megapixels in colour after {time.perf_counter() - begun:.2f} s")
    hints = ";".join(f"{400 * n},{300 * n},{n:02x}4080" for n in range(10))
    for what, settings in (("vividness", ""), ("vividness with 10 hints", f"&hints={hints}")):
        seconds = []
        for n in range(40):
            begun = time.perf_counter()
            get_coloured(address, key, f"vividness={n / 40}{settings}").load()
            seconds.append(time.perf_counter() - begun)
        median, worst = statistics.median(seconds), max(seconds[2:])
        print(f"a change of {what}: {1000 * median:.0f} ms, {1000 * worst:.0f} at most")
    begun = time.perf_counter()
    request(address, "GET", f"/api/photos/{key}/download")
    print(f"its download: {time.perf_counter() - begun:.2f} s")


def measure_many(
    address: str, process: subprocess.Popen, photos: list[bytes], uploads: int, clients: int
) -> None:
    """Print the throughput and memory of many clients at once, and whether each answer is right."""

    def visit(number: int) -> bool:
        """Upload a photograph; return whether what is shown is that photograph."""
        photo = photos[number % len(photos)]
        key = upload(address, photo)
        shown = np.asarray(get_coloured(address, key, "vividness=0").convert("L")).astype(int)
        with Image.open(io.BytesIO(photo)) as image:
            grey = np.asarray(image.resize(shown.shape[::-1])).astype(int)
        return bool(np.abs(shown - grey).mean() < 12)  # of another photograph it is 40

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(visit, range(2 * clients)))  # warm-up: what is allocated once
        before, begun = resident_megabytes(process), time.perf_counter()
        right = list(pool.map(visit, range(uploads)))
    seconds, after = time.perf_counter() - begun, resident_megabytes(process)
    print(
        f"{uploads} uploads from {clients} clients: {sum(right)} right, {uploads / seconds:.1f} a "
        f"second; memory from {before:.0f} to {after:.0f} MB"
    )


def main() -> None:
    """Start app.py and print its latencies, throughput and memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--uploads", type=int, default=200, metavar="N", help="(default: 200)")
    add("--clients", type=int, default=8, metavar="N", help="(default: 8)")
    args = parser.parse_args()
    command = [sys.executable, str(ROOT / "app.py"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            address = process.stdout.readline().strip()
            measure_one(address, make_photo(3000, 4000, 0))
            photos = [make_photo(900 + 60 * n, 1600 - 60 * n, n) for n in range(8)]
            photos += [make_photo(3000, 4000, 8 + n) for n in range(2)]
            measure_many(address, process, photos, args.uploads, args.clients)
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
