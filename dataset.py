"""Command: download colour photographs from Bing to train on."""

import argparse
import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TextIO

import numpy as np
import torch
from PIL import Image

from console import at_least, print_error, print_result, progress, run_command
from decoder import FORMATS
from metrics import colourfulness
from photo import find_photos, read_rgb
from queries_for_download import QUERIES
from screening import NEAR_GREY

MANIFEST = "manifest.jsonl"
TEMPORARY = ".download-"  # how temporary folders are called
STALE_SECONDS = 24 * 3600  # the age of one that a killed run has left behind
LONGEST_NAME, DIGITS = 60, 16  # characters of a folder's name; of a sha256 in a file's name
LARGEST_FILE = 30 * 2**20  # bytes
SMALLEST_SIDE = 64  # pixels
SIDE_JUDGED = 256  # pixels: the size at which colours are judged
SILENT_SECONDS, FILE_SECONDS = 10, 30  # that a server may say nothing; that a file may take
START_SECONDS, PHOTO_SECONDS = 60, 6  # a query may take START + limit * PHOTO
GIVE_UP_AFTER = 3  # queries in a row that brought nothing

# The child process: the package's own command, fenced in from outside. By itself the package
# follows file:// links, reads bodies of any size for any time, and imports a stranger's bing.py
# if it finds one; urllib's opener and sys.modules keep it from that without changing it.
CHILD = """
import sys, time, urllib.request as web
largest, seconds = int(sys.argv.pop(1)), float(sys.argv.pop(1))

class Bounded(web.BaseHandler):
    def http_response(self, request, response):
        read, end = response.read1, time.monotonic() + seconds
        def read_all():
            body = bytearray()
            while part := read(1 << 20):
                body += part
                if len(body) > largest or time.monotonic() > end:
                    raise ValueError("too large or too slow")
            return bytes(body)
        response.read = read_all
        return response
    https_response = http_response

opener = web.OpenerDirector()  # knows http and https; not file, ftp, data
for handler in (web.ProxyHandler, web.HTTPHandler, web.HTTPSHandler, web.HTTPRedirectHandler,
                web.HTTPDefaultErrorHandler, web.HTTPErrorProcessor, web.UnknownHandler, Bounded):
    opener.add_handler(handler())
web.install_opener(opener)
sys.modules["bing"] = None
from bing_image_downloader.__main__ import main
main()
"""
LOST_LINK = re.compile(r"^\[!\] Issue getting: (.*)\n\[!\] Error:: (.*)", re.MULTILINE)


@dataclass
class Outcome:
    """What became of a query.

    photos: good photographs in its folder, those of earlier runs too; new: those of this run.
    delivered: files that were downloaded, good or bad.
    rejected: files and links that were not kept, by reason.
    trouble: why the download ended before its time; empty if it did not.
    """

    photos: int
    new: int = 0
    delivered: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    trouble: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether there is something to train on, and not only from earlier runs."""
        return self.photos > 0 and (self.delivered > 0 or not self.trouble)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; every default stands here and nowhere else."""
    parser = argparse.ArgumentParser(
        description="Download colour photographs from Bing. A rerun goes on where it stopped.",
        epilog="exit codes: 0 all done, 1 some queries failed, 2 bad usage, 130 interrupted",
    )
    add = parser.add_argument
    add("queries", nargs="*", metavar="QUERY",
        help="what to search for (default: the list in queries_for_download.py)")  # fmt: skip
    add("-o", "--output", type=Path, default=Path("data/raw"), metavar="DIR",
        help="where the photographs go, a folder per query (default: %(default)s)")  # fmt: skip
    add("--limit", type=at_least(1), default=100, metavar="N",
        help="photographs per query (default: %(default)s)")  # fmt: skip
    args = parser.parse_args(argv)
    args.queries = list(dict.fromkeys(args.queries or QUERIES))
    for query in args.queries:
        if not query.strip() or not query.isprintable():
            parser.error(f"{query!r}: not a query")
    return args


def folder_name(query: str) -> str:
    """Name a query's folder as the query; a checksum is added where that is no safe name."""
    name = re.sub(r"[^\w -]+", "_", query).strip()[:LONGEST_NAME]
    return name if name == query else f"{name}-{hashlib.sha256(query.encode()).hexdigest()[:8]}"


def download(query: str, limit: int, folder: Path) -> tuple[list[tuple[str, str]], str]:
    """Let the package download into a folder, in a child process that can be killed.

    Returns:
        The links that could not be downloaded, each with the reason; and the outcome's trouble.
    """
    seconds = START_SECONDS + limit * PHOTO_SECONDS
    command = [sys.executable, "-P", "-u", "-X", "utf8", "-c", CHILD, str(LARGEST_FILE)]
    command += [str(FILE_SECONDS), "--timeout", str(SILENT_SECONDS), "--limit", str(limit)]
    command += ["--output-dir", str(folder / "files"), "--adult-filter-on", "--quiet", "--", query]
    log = folder / "log"
    with log.open("wb") as file:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )
    try:
        code: int | None = child.wait(seconds)
    except subprocess.TimeoutExpired:
        code = None
    finally:  # on Ctrl-C too
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    said = log.read_text(encoding="utf-8", errors="replace")
    last = said.strip().rpartition("\n")[2].removeprefix("urllib.error.") or f"exit code {code}"
    trouble = "" if code == 0 else f"stopped after {seconds} s" if code is None else last
    return LOST_LINK.findall(said), trouble


def examine(path: Path, known: dict[str, Path]) -> dict[str, Any]:
    """Measure a downloaded file; if it is not to be kept, "rejected" says why.

    Args:
        path: the file.
        known: the photographs that were kept so far, by the beginning of their sha256.
    """
    content = path.read_bytes()
    row: dict[str, Any] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    if twin := known.get(row["sha256"][:DIGITS]):
        return row | {"rejected": "duplicate" if twin.exists() else "deleted by hand"}
    try:
        image = read_rgb(path)
        with Image.open(path, formats=FORMATS) as file:
            row["format"] = str(file.format)
    except Exception as error:  # whatever a decoder raises, the file is of no use
        return row | {"rejected": "broken", "why": str(error) or type(error).__name__}
    row |= {"width": image.width, "height": image.height}
    if min(image.size) < SMALLEST_SIDE:
        return row | {"rejected": "too small"}
    image.thumbnail((SIDE_JUDGED, SIDE_JUDGED))
    rgb = torch.from_numpy(np.array(image)).movedim(-1, 0) / 255  # (3, H, W)
    return row | ({"rejected": "near grey"} if colourfulness(rgb) < NEAR_GREY else {})


def read_known(output: Path) -> dict[str, Path]:
    """List the photographs that earlier runs kept, by the beginning of their sha256."""
    known = {path.stem: path for path in find_photos(output)}
    manifest = output / MANIFEST
    for line in manifest.read_text("utf-8").splitlines() if manifest.exists() else ():
        try:
            row = json.loads(line)
            if "rejected" not in row:
                known.setdefault(row["sha256"][:DIGITS], output / row["file"])
        except (ValueError, TypeError, KeyError):  # half a line, of a run that was killed
            continue
    return known


def run_query(
    query: str, limit: int, output: Path, known: dict[str, Path], manifest: TextIO
) -> Outcome:
    """Download for one query, keep what is good, note in the manifest what became of each file."""
    folder = output / folder_name(query)
    outcome = Outcome(photos=len(find_photos(folder)))
    if outcome.photos >= limit:
        return outcome

    def note(file: str, row: dict[str, Any]) -> None:
        if "rejected" in row:
            outcome.rejected[row["rejected"]] += 1
        now = datetime.now(UTC).isoformat(timespec="seconds")
        line = json.dumps({"query": query, "file": file} | row | {"time": now})
        print(line, file=manifest, flush=True)

    with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=output) as temporary:
        lost, outcome.trouble = download(query, limit, Path(temporary))
        for link, why in lost:
            note(link, {"rejected": "not downloaded", "why": why})
        for path in sorted(p for p in Path(temporary, "files").rglob("*") if p.is_file()):
            outcome.delivered += 1
            row = examine(path, known)
            if "rejected" in row:
                note(path.name, row)
                continue
            suffix = row["format"].lower().replace("jpeg", "jpg")
            target = folder / f"{row['sha256'][:DIGITS]}.{suffix}"
            folder.mkdir(exist_ok=True)
            path.replace(target)
            known[target.stem] = target
            outcome.photos += 1
            outcome.new += 1
            note(str(target.relative_to(output)), row)
            if outcome.photos == limit:
                break
    if not outcome.delivered and not lost and not outcome.trouble:
        outcome.trouble = "bing's answer names no pictures"
    return outcome


def run(args: argparse.Namespace, outcomes: dict[str, Outcome]) -> None:
    """Run query after query into outcomes; give up when Bing is out of reach or wants no more."""
    args.output.mkdir(parents=True, exist_ok=True)
    for folder in args.output.glob(TEMPORARY + "*"):
        if time.time() - folder.stat().st_mtime > STALE_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
    known = read_known(args.output)
    in_vain = 0
    bar = progress(args.queries, "downloading", unit="query")
    with (args.output / MANIFEST).open("a", encoding="utf-8") as manifest:
        for query in bar:
            outcome = outcomes[query] = run_query(query, args.limit, args.output, known, manifest)
            rejected = ", ".join(f"{n} {why}" for why, n in outcome.rejected.most_common())
            rejected = f" (rejected: {rejected})" if rejected else ""
            print_result(f"{query}: {outcome.photos} of {args.limit}{rejected}")
            if not outcome.succeeded:
                print_error(f"{query}: {outcome.trouble or 'no photograph was of use'}")
            elif outcome.trouble:
                bar.write(f"note: {query}: {outcome.trouble}", file=sys.stderr)
            in_vain = in_vain + 1 if outcome.trouble and not outcome.delivered else 0
            if outcome.trouble.startswith("URLError") or in_vain == GIVE_UP_AFTER:
                print_error("bing: cannot be reached or gives nothing", "look at the connection")
                break
    bar.close()


def _interrupt(signum: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt(128 + signum)


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = parse_args(argv)
    if importlib.util.find_spec("bing_image_downloader") is None:
        print_error("bing_image_downloader: not installed", "pip install -r requirements.txt")
        return 2
    signal.signal(signal.SIGTERM, _interrupt)  # so that it kills the child process as Ctrl-C does
    outcomes: dict[str, Outcome] = {}
    interrupted = 0
    try:
        run(args, outcomes)
    except OSError as error:
        print_error(f"{error.filename or args.output}: {error.strerror}", "choose another --output")
        return 2
    except KeyboardInterrupt as stop:
        interrupted = stop.args[0] if stop.args else 128 + signal.SIGINT
    done = outcomes.values()
    new, rejected = sum(o.new for o in done), sum(o.rejected.total() for o in done)
    wanted = len(args.queries)
    missing = wanted - sum(o.succeeded for o in done)  # those not tried too
    text = f"{new} downloaded, {rejected} rejected, {missing} of {wanted} queries not done"
    print(text, file=sys.stderr)
    if missing:
        print("hint: the same command, run again, goes on where it stopped", file=sys.stderr)
    return interrupted or (1 if missing else 0)


if __name__ == "__main__":
    run_command(main)
