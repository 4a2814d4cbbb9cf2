"""How fast is the page of app.py, and what does it need under load?

Starts app.py, makes photographs, and asks as the page does: how long from the upload of 12
megapixels to the picture in colour, how long a change of vividness, or of a hint, takes to become a
picture; then uploads from several clients at once, whether each answer is that photograph's, and by
how much the server's memory grows.
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

import numpy as np
from PIL import Image

ROOT = Path(__file__).parent.parent
VIEW_SIDE = 1280  # pixels, as the page asks for


def make_photo(height: int, width: int, seed: int) -> bytes:
    """Make a grey JPEG with as much detail as a photograph has."""
    chance = np.random.default_rng(seed)
    grey = Image.new("L", (width, height), 0)
    for size, share in ((8, 0.6), (64, 0.25), (512, 0.1), (2048, 0.05)):
        noise = (chance.random((size, size)) * 255).astype(np.uint8)
        layer = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
        grey = Image.fromarray(np.asarray(grey) + (np.asarray(layer) * share).astype(np.uint8))
    file = io.BytesIO()
    grey.save(file, "JPEG", quality=90)
    return file.getvalue()


def ask(port: int, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
    """Ask the server; the status and the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request(method, path, body, {"X-Name": "photo.jpg"})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


def memory_of(process: subprocess.Popen) -> float:
    """Say how much memory a process has now, MB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def upload(port: int, photo: bytes) -> str:
    """Upload a photograph, again while there is too much at once; what it is called there."""
    while True:
        status, content = ask(port, "POST", "/api/photos", photo)
        if status != 503:
            break
        time.sleep(1)
    if status != 200:
        raise SystemExit(f"{status}: {content!r}")
    return str(json.loads(content)["id"])


def show(port: int, key: str, wish: str) -> Image.Image:
    """Get a photograph in colour as the page shows it."""
    path = f"/api/photos/{key}/coloured?side={VIEW_SIDE}&{wish}"
    status, content = ask(port, "GET", path)
    if status != 200:
        raise SystemExit(f"{status}: {content!r}")
    return Image.open(io.BytesIO(content))


def measure_one(port: int, photo: bytes) -> None:
    """Print how long somebody waits who has one photograph."""
    begun = time.perf_counter()
    key = upload(port, photo)
    show(port, key, "vividness=0.5").load()
    print(f"12 megapixels in colour after {time.perf_counter() - begun:.2f} s")
    hints = ";".join(f"{400 * n},{300 * n},{n:02x}4080" for n in range(10))
    for what, wish in (("vividness", ""), ("vividness with 10 hints", f"&hints={hints}")):
        seconds = []
        for n in range(40):
            begun = time.perf_counter()
            show(port, key, f"vividness={n / 40}{wish}").load()
            seconds.append(time.perf_counter() - begun)
        middle, worst = statistics.median(seconds), max(seconds[2:])
        print(f"a change of {what}: {1000 * middle:.0f} ms, {1000 * worst:.0f} at most")
    begun = time.perf_counter()
    ask(port, "GET", f"/api/photos/{key}/download")
    print(f"its download: {time.perf_counter() - begun:.2f} s")


def measure_many(
    port: int, process: subprocess.Popen, photos: list[bytes], uploads: int, clients: int
) -> None:
    """Print what many clients at once get, and what that takes."""

    def visit(number: int) -> bool:
        photo = photos[number % len(photos)]
        key = upload(port, photo)
        shown = np.asarray(show(port, key, "vividness=0").convert("L")).astype(int)
        with Image.open(io.BytesIO(photo)) as image:
            grey = np.asarray(image.resize(shown.shape[::-1])).astype(int)
        return bool(np.abs(shown - grey).mean() < 12)  # of another photograph it is 40

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(visit, range(2 * clients)))  # what is allocated once
        before, begun = memory_of(process), time.perf_counter()
        right = list(pool.map(visit, range(uploads)))
    seconds, after = time.perf_counter() - begun, memory_of(process)
    print(
        f"{uploads} uploads from {clients} clients: {sum(right)} right, {uploads / seconds:.1f} a "
        f"second; memory from {before:.0f} to {after:.0f} MB"
    )


def main() -> None:
    """Run all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--uploads", type=int, default=200, metavar="N", help="(default: 200)")
    add("--clients", type=int, default=8, metavar="N", help="(default: 8)")
    args = parser.parse_args()
    command = [sys.executable, str(ROOT / "app.py"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            port = int(process.stdout.readline().rsplit(":", 1)[1])
            measure_one(port, make_photo(3000, 4000, 0))
            photos = [make_photo(900 + 60 * n, 1600 - 60 * n, n) for n in range(8)]
            photos += [make_photo(3000, 4000, 8 + n) for n in range(2)]
            measure_many(port, process, photos, args.uploads, args.clients)
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
