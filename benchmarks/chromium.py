"""web/dist, served on this machine and opened in the system's Chromium, for the benchmarks."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

DIST = Path(__file__).resolve().parent.parent / "web" / "dist"


def open_page(page: Page, address: str) -> None:
    """Open the page, and wait until it has loaded itself a second time, with threads."""
    page.goto(address)
    while True:
        try:
            if page.evaluate("crossOriginIsolated && document.readyState === 'complete'"):
                return
        except Exception:  # it is being loaded again
            time.sleep(0.02)


NO_GPU = ("--disable-gpu",)
# A GPU in software, with Chromium's own Vulkan.
SOFTWARE_GPU = (
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--enable-features=Vulkan",
)


@contextmanager
def open_chromium(arguments: Sequence[str] = NO_GPU) -> Iterator[tuple[Page, str]]:
    """Yield an empty page of the system's Chromium, and the address of web/dist, which is served.

    It ends the program if there is no web/dist.
    """
    if not (DIST / "index.html").exists():
        sys.exit("error: web/dist is not there\nhint: cd web && npm ci && npm run build")
    port = 8765
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    command += ["--directory", str(DIST)]
    host = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(1)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", *arguments]
            )
            yield browser.new_page(), f"http://127.0.0.1:{port}/"
            browser.close()
    finally:
        host.terminate()
