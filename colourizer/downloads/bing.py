"""Photographs from Bing's image search, through bing_image_downloader in a child process."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from colourizer.downloads.bing_child import EXHAUSTED
from colourizer.downloads.delivery import Delivery
from colourizer.downloads.http import FILE_SECONDS, LARGEST_FILE, SILENT_SECONDS

CHILD = "colourizer.downloads.bing_child"  # the module that the child process runs
IMPORTED_FROM = str(Path(__file__).parents[2])  # where it finds that module
# Searched one after the other, as each has other results, until there are enough.
VARIANTS = ("{}", "{} photo")
# A query is given up after MAX_LOST failed links, plus MAX_LOST_PER_PHOTO per photograph wanted.
MAX_LOST, MAX_LOST_PER_PHOTO = 50, 3
# What the child says of a server that cannot be reached, perhaps with a number; group 1 is why.
UNREACHABLE = re.compile(r"URLError: (?:<urlopen error )?(?:\[Errno -?\d+\] )?(.*?)>?")
POLL_SECONDS = 0.05  # how often the child is checked


def download(
    query: str,
    limit: int,
    folder: Path,
    known: Iterable[str],
    stop: threading.Event,
    seconds: float,
) -> Delivery:
    """Download what Bing finds for a query.

    Args:
        query: what to search for.
        limit: how many files to download.
        folder: where they go; empty.
        known: links that are skipped.
        stop: ends the download when set.
        seconds: after which the download ends.

    Returns:
        What was downloaded, even if it ended early.
    """
    delivery = Delivery(folder)
    until = time.monotonic() + seconds
    for variant in VARIANTS:
        code = 0
        while code == 0:  # it stops by itself where a page of results leads to nothing
            if len(delivery.lost) > MAX_LOST + MAX_LOST_PER_PHOTO * limit:
                delivery.trouble = f"{len(delivery.lost)} links led to nothing"
                return delivery
            missing, skipped = limit - len(delivery.files), {*known, *delivery.origins}
            code, error = run_child(variant.format(query), missing, folder, skipped, stop, until)
            delivery = Delivery.read(folder)
            if len(delivery.files) >= limit:
                return delivery
        if code != EXHAUSTED:
            reason = UNREACHABLE.fullmatch(error)
            delivery.trouble = reason[1].lower() if reason else error
            delivery.unreachable = reason is not None
            return delivery
        if not skipped and not delivery.origins:
            delivery.trouble = "bing's answer names no pictures"
            return delivery
    delivery.exhausted = True
    return delivery


def run_child(
    query: str, limit: int, folder: Path, known: set[str], stop: threading.Event, until: float
) -> tuple[int, str]:
    """Download into a folder by the package, in a child process that can be killed.

    Returns:
        The exit code; and, if it is neither 0 nor EXHAUSTED, why the child ended early.
    """
    with tempfile.TemporaryDirectory(dir=folder) as own, tempfile.TemporaryFile() as log:
        links = Path(own, "known.json")
        links.write_text(json.dumps(sorted(known)), "utf-8")
        options = [str(folder), str(links), str(LARGEST_FILE), str(FILE_SECONDS)]
        options += ["--timeout", str(SILENT_SECONDS), "--limit", str(limit), "--output-dir", own]
        options += ["--adult-filter-on", "--filter", "photo", "--quiet", "--", query]
        child = subprocess.Popen(
            # -P: a stranger's modules in the current folder are not imported.
            [sys.executable, "-P", "-X", "utf8", "-m", CHILD, *options],
            env=os.environ | {"PYTHONPATH": IMPORTED_FROM},
            stdin=subprocess.PIPE,  # held open as long as this process lives
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            while child.poll() is None and not stop.is_set() and time.monotonic() < until:
                time.sleep(POLL_SECONDS)
        finally:
            over = child.poll() is None
            if over:
                os.killpg(child.pid, signal.SIGKILL)
            code = child.wait()
            if child.stdin:
                child.stdin.close()
        if over:
            return code, "stopped" if stop.is_set() else "took too long"
        log.seek(0)
        last = log.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
    return code, last.removeprefix("urllib.error.") or f"exit code {code}"
