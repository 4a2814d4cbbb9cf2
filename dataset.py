"""Command: download colour photographs to train on, from Bing or from open collections."""

from colourizer.runtime import early_interrupt  # noqa: F401 - first: the imports take seconds

# isort: split
import argparse
import importlib.util
import threading
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from colourizer.downloads import bing, open_collections
from colourizer.downloads.collection import REASONS, Collection, LockedError
from colourizer.runtime.atomic_file import DISK_FULL
from colourizer.runtime.cli import (
    at_least,
    print_error,
    print_note,
    print_result,
    progress,
    run_command,
)
from colourizer.runtime.errors import reason_of
from colourizer.runtime.interrupt import Interrupt
from queries_for_download import QUERIES

START_SECONDS, PHOTO_SECONDS = 60, 6  # a query may take START + limit * PHOTO
ROUNDS = 4  # of asking for as many photographs as are still missing
GIVE_UP_AFTER = 3  # queries in a row that downloaded nothing
FEW = 0.5  # of the limit: a query with less has failed
POLL_SECONDS = 0.2  # how often Ctrl-C is checked for
LONGEST_QUERY = 240  # bytes: bing_image_downloader makes a folder of that name
WIDEST_QUERY = 24  # characters of the table's first column
COLUMNS = ("wanted", "got", "new", *REASONS.values())


@dataclass
class Outcome:
    """The outcome of a query.

    wanted: photographs asked for.
    photos: photographs in the query's folder, those of earlier runs included.
    counts: of this run, the files that were "kept", and the files and links that were not, by
        reason.
    trouble: why it ended early; empty if it did not.
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
        """Return the figures of a row of the table."""
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


@dataclass(frozen=True)
class DownloadOptions:
    """How queries are downloaded.

    source: "bing" or one of open_collections.SOURCES.
    limit: photographs per query.
    at_once: queries that are worked on at the same time.
    contact: a mail address or link for the hosts of open collections; may be empty.
    """

    source: str
    limit: int
    at_once: int
    contact: str


def run_query(
    query: str, options: DownloadOptions, collection: Collection, stop: threading.Event
) -> Outcome:
    """Download what a query lacks, and replace what was rejected, until there is enough."""
    source, limit = options.source, options.limit
    outcome = Outcome(limit, collection.count(query))
    for _ in range(ROUNDS):
        missing = limit - outcome.photos
        if missing <= 0 or stop.is_set():
            break
        with collection.delivery_folder(query, source) as folder:
            seconds = START_SECONDS + missing * PHOTO_SECONDS
            known = collection.known_links()
            if source == "bing":
                delivery = bing.download(query, missing, folder, known, stop, seconds)
            else:
                delivery = open_collections.download(
                    source, query, missing, folder, known, stop, seconds, options.contact
                )
            outcome.counts += collection.add(query, source, delivery)
        outcome.photos = collection.count(query)
        outcome.trouble, outcome.unreachable = delivery.trouble, delivery.unreachable
        if delivery.trouble or delivery.exhausted:
            break
    return outcome


def table_row(query: str, width: int, figures: tuple[int | str, ...]) -> str:
    """Return a row of the table as text."""
    cells = (f"{figure:>{len(name)}}" for figure, name in zip(figures, COLUMNS, strict=True))
    return "  ".join((f"{query[:width]:<{width}}", *cells))


def run(
    queries: list[str],
    options: DownloadOptions,
    collection: Collection,
    interrupt: Interrupt,
    outcomes: dict[str, Outcome],
) -> None:
    """Run the queries, several at once; give up when the source does not answer.

    Args:
        queries: different from each other.
        options: the same for all.
        collection: gets the photographs.
        interrupt: stops the run.
        outcomes: gets the outcome of each query; a full disk ends the run before they are complete.
    """
    stop = threading.Event()
    width = min(WIDEST_QUERY, max(len(query) for query in queries))
    print_result(table_row("", width, COLUMNS))
    waiting = list(reversed(queries))
    running: dict[Future[Outcome], str] = {}
    failed_in_a_row = 0
    bar = progress([], "downloading", len(queries) * options.limit)
    with ThreadPoolExecutor(options.at_once) as pool:
        try:
            while running or (waiting and not stop.is_set()):
                while waiting and len(running) < options.at_once and not stop.is_set():
                    query = waiting.pop()
                    running[pool.submit(run_query, query, options, collection, stop)] = query
                done, _ = wait(running, POLL_SECONDS, FIRST_COMPLETED)
                for future in done:
                    query = running.pop(future)
                    outcome = outcomes[query] = future.result()
                    print_result(table_row(query, width, outcome.columns()))
                    if stop.is_set():
                        continue
                    report(query, outcome)
                    failed = outcome.trouble and not outcome.counts["kept"]
                    failed_in_a_row = failed_in_a_row + 1 if failed else 0
                    if outcome.unreachable or failed_in_a_row == GIVE_UP_AFTER:
                        stop.set()
                        what = f"{options.source}: cannot be reached or gives nothing"
                        print_error(what, "look at the connection")
                bar.n = sum(min(o.photos, options.limit) for o in outcomes.values())
                bar.n += collection.count_arriving()
                bar.refresh()
                if interrupt.exit_code:
                    stop.set()
        finally:  # an exception, such as of a full disk, ends the other queries too
            stop.set()
    bar.close()
    print_result(table_row("all", width, total_of(outcomes).columns()))


def total_of(outcomes: dict[str, Outcome]) -> Outcome:
    """Return the sums over all outcomes."""
    total = Outcome(0)
    for outcome in outcomes.values():
        total.wanted += outcome.wanted
        total.photos += outcome.photos
        total.counts += outcome.counts
    return total


def report(query: str, outcome: Outcome) -> None:
    """Print what a query lacks and why, if it lacks something."""
    why = outcome.trouble or f"only {outcome.photos} of {outcome.wanted} photographs were found"
    if not outcome.succeeded:
        print_error(f"{query}: {why}")
    elif outcome.trouble:
        print_note(f"note: {query}: {why}")


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = parse_args(argv)
    if args.source == "bing" and importlib.util.find_spec("bing_image_downloader") is None:
        print_error("bing_image_downloader: not installed", "pip install -r requirements.txt")
        return 2
    options = DownloadOptions(args.source, args.limit, args.at_once, args.contact)
    outcomes: dict[str, Outcome] = {}
    try:
        with closing(Collection(args.output)) as collection, Interrupt() as interrupt:
            run(args.queries, options, collection, interrupt, outcomes)
    except LockedError:
        print_error(f"{args.output}: another dataset.py is at work there", "wait, or stop it")
        return 2
    except OSError as error:
        if error.errno in DISK_FULL:
            print_error(f"{args.output}: the disk is full", "make room and run this again")
            return 1
        print_error(
            f"{error.filename or args.output}: {reason_of(error)}", "choose another --output"
        )
        return 2
    counts = total_of(outcomes).counts
    new = counts.pop("kept", 0)
    wanted = len(args.queries)
    missing = wanted - sum(outcome.succeeded for outcome in outcomes.values())  # untried included
    text = f"{new} downloaded, {counts.total()} rejected, {missing} of {wanted} queries not done"
    print_note(text)
    if missing:
        print_note("hint: the same command, run again, goes on where it stopped")
    return interrupt.exit_code or (1 if missing else 0)


if __name__ == "__main__":
    run_command(main)
