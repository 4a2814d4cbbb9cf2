"""Command: download colour photographs to train on, from Bing or from open collections."""

import argparse
import importlib.util
import sys
import threading
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from colourizer.downloads import bing, open_collections
from colourizer.downloads.collection import REASONS, BusyError, Collection
from colourizer.runtime.atomic_file import DISK_FULL
from colourizer.runtime.cli import (
    Interrupt,
    at_least,
    print_error,
    print_note,
    print_result,
    progress,
    run_command,
)
from queries_for_download import QUERIES

START_SECONDS, PHOTO_SECONDS = 60, 6  # a query may take START + limit * PHOTO
ROUNDS = 4  # of asking for as many photographs as are still missing
GIVE_UP_AFTER = 3  # queries in a row that brought nothing
FEW = 0.5  # of the limit: a query with less has failed
POLL_SECONDS = 0.2  # between two looks at whether Ctrl-C was pressed
LONGEST_QUERY = 240  # bytes: bing_image_downloader makes a folder of that name
WIDEST_QUERY = 24  # characters of the table's first column
COLUMNS = ("wanted", "got", "new", *REASONS.values())


@dataclass
class Outcome:
    """What became of a query.

    wanted, photos: photographs asked for, and in its folder, those of earlier runs too.
    counts: of this run: files that were kept, and files and links that were not, by reason.
    trouble: why it ended before its time; empty if it did not.
    unreachable: whether the source itself could not be reached.
    """

    wanted: int
    photos: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    trouble: str = ""
    unreachable: bool = False

    @property
    def succeeded(self) -> bool:
        """Whether there is enough to train on."""
        return self.photos >= FEW * self.wanted

    def columns(self) -> tuple[int, ...]:
        """List the figures of a row of the table."""
        return (self.wanted, self.photos, self.counts["kept"], *(self.counts[r] for r in REASONS))


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; every default stands here and nowhere else."""
    parser = argparse.ArgumentParser(
        description="Download colour photographs. A rerun goes on where it stopped and fetches "
        "nothing twice; what rejected.txt lists (see review.py) is replaced by others.",
        epilog="exit codes: 0 all done, 1 some queries failed, 2 bad usage, 130 interrupted",
    )
    add = parser.add_argument
    add("queries", nargs="*", metavar="QUERY",
        help="what to search for (default: the list in queries_for_download.py)")  # fmt: skip
    add("-o", "--output", type=Path, default=Path("data/raw"), metavar="DIR",
        help="where the photographs go, a folder per query (default: %(default)s)")  # fmt: skip
    add("--limit", type=at_least(1), default=100, metavar="N",
        help="photographs per query (default: %(default)s)")  # fmt: skip
    add("--source", choices=("bing", *open_collections.SOURCES), default="bing",
        help="where to search; openverse and commons (Wikimedia's) give author and licence, which "
        "go into the manifest (default: %(default)s)")  # fmt: skip
    add("--contact", default="", metavar="MAIL_OR_URL",
        help="how openverse and commons can reach you, as Wikimedia asks")  # fmt: skip
    add("--at-once", type=at_least(1), default=4, metavar="N",
        help="queries that are worked on at the same time (default: %(default)s)")  # fmt: skip
    args = parser.parse_args(argv)
    args.queries = list(dict.fromkeys(args.queries or QUERIES))
    for query in args.queries:
        if not query.strip() or not query.isprintable():
            parser.error(f"{query!r}: not a query")
        if len(query.encode()) > LONGEST_QUERY:
            parser.error(f"{query!r}: longer than {LONGEST_QUERY} bytes")
    return args


def run_query(
    query: str, args: argparse.Namespace, collection: Collection, stop: threading.Event
) -> Outcome:
    """Ask for what a query lacks, again for what was rejected of it, until there is enough."""
    outcome = Outcome(args.limit, collection.count(query))
    for _ in range(ROUNDS):
        missing = args.limit - outcome.photos
        if missing <= 0 or stop.is_set():
            break
        with collection.ask(query, args.source) as folder:
            seconds = START_SECONDS + missing * PHOTO_SECONDS
            known = collection.known_links()
            if args.source == "bing":
                delivery = bing.download(query, missing, folder, known, stop, seconds)
            else:
                delivery = open_collections.download(
                    args.source, query, missing, folder, known, stop, seconds, args.contact
                )
            outcome.counts += collection.take(query, args.source, delivery)
        outcome.photos = collection.count(query)
        outcome.trouble, outcome.unreachable = delivery.trouble, delivery.unreachable
        if delivery.trouble or delivery.exhausted:
            break
    return outcome


def table_row(query: str, width: int, figures: tuple[int | str, ...]) -> str:
    """Lay out a row of the table."""
    cells = (f"{figure:>{len(name)}}" for figure, name in zip(figures, COLUMNS, strict=True))
    return "  ".join((f"{query[:width]:<{width}}", *cells))


def run(
    args: argparse.Namespace,
    collection: Collection,
    interrupt: Interrupt,
    outcomes: dict[str, Outcome],
) -> None:
    """Run the queries into outcomes, several at once; give up when the source does not answer."""
    stop = threading.Event()
    width = min(WIDEST_QUERY, max(len(query) for query in args.queries))
    print_result(table_row("", width, COLUMNS))
    waiting = list(reversed(args.queries))
    running: dict[Future[Outcome], str] = {}
    in_vain = 0
    bar = progress([], "downloading", len(args.queries) * args.limit)
    with ThreadPoolExecutor(args.at_once) as pool:
        try:
            while running or (waiting and not stop.is_set()):
                while waiting and len(running) < args.at_once and not stop.is_set():
                    query = waiting.pop()
                    running[pool.submit(run_query, query, args, collection, stop)] = query
                done, _ = wait(running, POLL_SECONDS, FIRST_COMPLETED)
                for future in done:
                    query = running.pop(future)
                    outcome = outcomes[query] = future.result()
                    print_result(table_row(query, width, outcome.columns()))
                    report(query, outcome, stop.is_set())
                    vain = outcome.trouble and not outcome.counts["kept"]
                    in_vain = in_vain + 1 if vain and not stop.is_set() else 0
                    if (outcome.unreachable or in_vain == GIVE_UP_AFTER) and not stop.is_set():
                        stop.set()
                        what = f"{args.source}: cannot be reached or gives nothing"
                        print_error(what, "look at the connection")
                bar.n = sum(min(o.photos, args.limit) for o in outcomes.values())
                bar.n += collection.count_arriving()
                bar.refresh()
                if interrupt.exit_code:
                    stop.set()
        finally:  # a full disk ends it too
            stop.set()
    bar.close()
    total = Outcome(0)
    for outcome in outcomes.values():
        total.wanted += outcome.wanted
        total.photos += outcome.photos
        total.counts += outcome.counts
    print_result(table_row("all", width, total.columns()))


def report(query: str, outcome: Outcome, stopped: bool) -> None:
    """Say what a query lacks and why, if it lacks something."""
    why = outcome.trouble or f"only {outcome.photos} of {outcome.wanted} photographs were found"
    if not outcome.succeeded and not stopped:
        print_error(f"{query}: {why}")
    elif outcome.trouble and not stopped:
        print_note(f"note: {query}: {why}")


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = parse_args(argv)
    if args.source == "bing" and importlib.util.find_spec("bing_image_downloader") is None:
        print_error("bing_image_downloader: not installed", "pip install -r requirements.txt")
        return 2
    outcomes: dict[str, Outcome] = {}
    try:
        with closing(Collection(args.output)) as collection, Interrupt() as interrupt:
            run(args, collection, interrupt, outcomes)
    except BusyError:
        print_error(f"{args.output}: another dataset.py is at work there", "wait, or stop it")
        return 2
    except OSError as error:
        if error.errno in DISK_FULL:
            print_error(f"{args.output}: the disk is full", "make room and run this again")
            return 1
        print_error(f"{error.filename or args.output}: {error.strerror}", "choose another --output")
        return 2
    counts = sum((outcome.counts for outcome in outcomes.values()), Counter[str]())
    new = counts.pop("kept", 0)
    wanted = len(args.queries)
    missing = wanted - sum(outcome.succeeded for outcome in outcomes.values())  # not tried, too
    text = f"{new} downloaded, {counts.total()} rejected, {missing} of {wanted} queries not done"
    print(text, file=sys.stderr)
    if missing:
        print("hint: the same command, run again, goes on where it stopped", file=sys.stderr)
    return interrupt.exit_code or (1 if missing else 0)


if __name__ == "__main__":
    run_command(main)
