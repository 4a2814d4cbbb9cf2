"""Benchmark: web/dist in Chromium: bytes of the first visit, seconds to colour, new settings.

`python benchmarks/web.py` serves the page, which `npm run build` has made, and opens it in the
system's Chromium with two processors. It colours photographs of 2 megapixels, of which the first
one waits for the network to be loaded, moves the vividness and chooses variants; it prints medians.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from PIL import Image  # noqa: E402
from playwright.sync_api import Page  # noqa: E402

from benchmarks.chromium import DIST, open_chromium, open_page  # noqa: E402

SIZE = (1733, 1154)  # pixels: two megapixels, 3:2
# Seconds from the drop until the last card is in colour.
COLOUR = """text => new Promise(done => {
    const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], "photo.jpg"));
    const began = performance.now();
    const watch = () => {
        const card = document.querySelector(".card:last-child .open:enabled");
        if (card && card !== before) done((performance.now() - began) / 1000);
        else setTimeout(watch, 2);
    };
    const before = document.querySelector(".card:last-child .open:enabled");
    document.body.dispatchEvent(
        new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
    watch();
})"""
# Milliseconds from a movement of the slider, or a variant's choice, until the picture is there.
CHANGE = """([what, value]) => new Promise(done => {
    const slider = document.getElementById("vividness");
    const frame = document.getElementById("frame");
    const began = performance.now();
    if (what === "variant") document.querySelector("#variants").children[value].click();
    else {
        slider.value = value;
        slider.dispatchEvent(new Event("input", {bubbles: true}));
    }
    const watch = () => {
        if (frame.ariaBusy === "false") done(performance.now() - began);
        else setTimeout(watch, 1);
    };
    watch();
})"""


def make_photo(folder: Path) -> str:
    """Return a grey photograph of SIZE as JPEG, in base64."""
    import base64

    path = folder / "photo.jpg"
    sample = Image.open(ROOT / "data" / "samples" / "coffee.jpg").convert("L")
    sample.resize(SIZE, Image.Resampling.LANCZOS).save(path, quality=92)
    return base64.b64encode(path.read_bytes()).decode()


def measure(page: Page, address: str, photo: str, rounds: int) -> None:
    """Print what a visit takes."""
    received: list[int] = []
    page.on("response", lambda r: received.append(int(r.headers.get("content-length", 0))))
    began = time.perf_counter()
    open_page(page, address)
    page.evaluate(COLOUR, photo)
    print(f"first visit, until a photograph is in colour: {time.perf_counter() - began:.2f} s")
    large = sum((path.stat().st_size for path in DIST.glob("*.gz")), 0)
    runtime = (DIST / "runtime" / "ort-wasm-simd-threaded.wasm.gz").stat().st_size
    small = [p for p in DIST.rglob("*") if p.is_file() and p.suffix != ".gz"]
    scripts = sum(path.stat().st_size for path in small if path.parent.name != "runtime")
    print(f"network and runtime: {(large + runtime) / 1e6:.1f} MB; page: {scripts / 1e3:.0f} kB")
    colour = [page.evaluate(COLOUR, photo) for _ in range(rounds)]
    print(f"a photograph of 2 megapixels, from the drop: {statistics.median(colour):.2f} s")
    page.locator(".card:last-child .open").click()
    page.wait_for_timeout(1000)
    moves = [page.evaluate(CHANGE, ["vividness", 30 + 5 * (n % 10)]) for n in range(2 * rounds)]
    print(f"a new vividness: {statistics.median(moves):.0f} ms")
    chosen = []
    for n in range(2 * rounds):
        chosen.append(page.evaluate(CHANGE, ["variant", 1 + n % 5]))
        page.wait_for_timeout(1000)  # until the small pictures of the looks show the variant, too
    print(f"a new variant: {statistics.median(chosen):.0f} ms")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="default: %(default)s")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, open_chromium() as (page, address):
        measure(page, address, make_photo(Path(folder)), args.rounds)


if __name__ == "__main__":
    main()
