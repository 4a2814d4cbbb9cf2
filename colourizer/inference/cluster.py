"""Many machines: groups of photographs go to actors of Ray, each of which holds one network.

Ray would start a lost actor again by itself, but keeps what was sent to it waiting until a machine
has room, which may be never. Here what was lost goes to the others at once.
"""

import hashlib
import itertools
import logging
import os
import re
import socket
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

from colourizer import __version__
from colourizer.inference.colourizer import CPU_BATCH_SIZE, Colourizer
from colourizer.inference.looks import Look
from colourizer.inference.outcome import Outcome
from colourizer.inference.output_plan import FoundPhoto, OutputOptions
from colourizer.inference.run import BATCHES_PER_GROUP, ColourOptions, start_run
from colourizer.inference.streaming import (
    FilmColourizer,
    colourize_album,
    colourize_found,
    cut_albums,
    cut_stream,
    set_films_aside,
)
from colourizer.photos.read import read_photo
from colourizer.record.row_index import RowIndex
from colourizer.runtime.cli import UsageError, one_line, print_note
from colourizer.runtime.interrupt import Interrupt
from colourizer.runtime.process import count_cores
from colourizer.storage.address import Location
from colourizer.storage.connection import INSTALL

LOCAL = "local"  # as an address: this machine alone
HOST_AND_PORT = re.compile(r"(?:ray://)?([^/:]+):(\d+)")
CONNECT_SECONDS = 10.0
OBJECT_STORE = 200_000_000  # bytes that Ray takes of this machine: a checkpoint passes through it
ACTOR_CORES = 4  # of an actor, at most: with more, threads wait for each other in Python
MAX_LOSSES = 3  # of actors while they coloured a photograph; then it is a failed one
GROW_SECONDS = 5.0  # between looks for machines that have room for another actor
WAITING_SECONDS = 60.0  # that actors wait for room on the machines until the user is told
NO_ROOM_SECONDS = 600.0  # that a run waits for the first machine large enough for an actor
MAX_FAILED_STARTS = 3  # of actors, since one has started; then their reason is believed
WAIT_SECONDS = 0.1  # for results, of which many are taken at a time
PATIENCE = 2.0  # seconds that running work has to finish after Ctrl-C
GROUP_SIZE = BATCHES_PER_GROUP * CPU_BATCH_SIZE  # photographs in a call of an actor


@contextmanager
def join_cluster(address: str) -> Iterator[None]:
    """Join a Ray cluster, or start one on this machine, and leave it in the end.

    Args:
        address: HOST:PORT, ray://HOST:PORT, "auto" for the one of this machine, or LOCAL.

    Raises:
        UsageError: there is none, or Ray is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise UsageError("--ray: needs the package ray", INSTALL) from error
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told what an archive does
    local: dict[str, Any] = {}
    if address == LOCAL:
        local = {"num_cpus": count_cores(), "object_store_memory": OBJECT_STORE}
    try:
        if found := HOST_AND_PORT.fullmatch(address):  # Ray itself would wait for minutes
            socket.create_connection((found[1], int(found[2])), CONNECT_SECONDS).close()
        context = ray.init(address, logging_level=logging.ERROR, log_to_driver=False, **local)
    except Exception as error:
        hint = f"start one by `ray start --head`, or say --ray {LOCAL} for this machine alone"
        if address == LOCAL:
            hint = "this machine may be busy, or short of memory: try again later"
        what = str(error).partition("\n")[0] or type(error).__name__
        raise UsageError(f"--ray {address}: no cluster was found ({what})", hint) from error
    with suppress(AttributeError):  # messages of its processes, which it would print to stdout
        ray._private.worker._worker_logs_enabled = False
    try:
        if url := getattr(context, "dashboard_url", None):
            print_note(f"ray: the dashboard is at http://{url}")
        yield
    finally:
        ray.shutdown()


@dataclass(frozen=True)
class Task:
    """What every actor is told.

    checkpoint: content and name of the checkpoint's file, which no other machine needs to have.
    device: one of network.device.DEVICES.
    look: of the colours.
    outputs: which files are made.
    colours: how, but for the reference.
    reference: the content of the reference's file.
    colourize_film: is called for a film.
    recorded: what a report says of earlier runs, which a machine has once; or None.
    cores: of each actor.
    threads: of each actor; more than cores if they wait for a storage.
    version: of the program that tells it.
    """

    checkpoint: bytes
    checkpoint_name: str
    device: str
    look: Look
    outputs: OutputOptions
    colours: ColourOptions
    reference: bytes | None
    colourize_film: FilmColourizer
    recorded: RowIndex | None = None
    cores: int = 1
    threads: int = 1
    version: str = __version__


class Worker:
    """The actor: one network, several threads of photographs."""

    def __init__(self, task: Task) -> None:
        """Load the network.

        Raises:
            RuntimeError: this machine has another version of the program.
        """
        if task.version != __version__:
            raise RuntimeError(f"a machine has version {__version__}, this one {task.version}")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, task.checkpoint_name)
            path.write_bytes(task.checkpoint)
            colourizer = Colourizer.load(path, task.device)
            colourizer.look = task.look
            _ = colourizer.fingerprint  # of the file
        colours = task.colours
        if task.reference is not None:
            pixels = read_photo(BytesIO(task.reference)).pixels
            sha256 = hashlib.sha256(task.reference).hexdigest()
            reference = colourizer.study_reference(pixels, sha256)
            colours = replace(colours, reference=reference)
        self._stack, self._colourize_film = ExitStack(), task.colourize_film
        self._threads = task.threads
        run = start_run(
            colourizer,
            task.outputs,
            colours,
            Interrupt(),
            task.threads,
            recorded=task.recorded,
            cores=task.cores,
        )
        self._run = self._stack.enter_context(run)

    def is_ready(self) -> bool:
        """Return True, once the network is loaded."""
        return True

    def colourize(self, group: list[FoundPhoto]) -> list[Outcome]:
        """Colour a group of photographs, in several threads at a time; or an album, or a film."""
        if group[0].is_film:
            return [self._colourize_film(group[0], self._run)]
        if self._run.colours.album:
            outcomes = list(colourize_album(group, self._run, self._threads))
        else:
            outcomes = colourize_found(group, self._run)
        for outcome in outcomes:
            outcome.parts.clear()
        return outcomes


@dataclass
class Group:
    """Photographs, an album or a film, for one call of an actor; losses: of actors with it."""

    photos: list[FoundPhoto]
    losses: int = 0


class Pool:
    """The actors of a run and what they have to do. A lost one is replaced where there is room."""

    def __init__(self, task: Task, threads_per_core: int) -> None:
        """Divide the cluster's machines, as they are now, into actors of one size."""
        import ray

        self._ray, self._task, self._threads_per_core = ray, task, threads_per_core
        self._album = task.colours.album
        self._divide()
        self._starting: dict[Any, Any] = {}  # actors, by the results that say they are ready
        self._busy: dict[Any, int] = {}  # groups that each actor has to do
        self._running: dict[Any, tuple[Any, Group]] = {}  # actors and groups, by their results
        self._suspects: deque[Group] = deque()  # photographs of lost actors
        self._alone: Any = None  # the actor that those go to
        self._failed_starts, self._last_look = 0, float("-inf")
        self._waits_since, self._has_told = 0.0, False

    def _divide(self) -> None:
        """Choose the size of actors, so that each machine has room for one."""
        nodes, task = self._nodes(), self._task
        gpu_nodes = [node for node in nodes if node.get("GPU", 0) >= 1]
        self._gpus = int(task.device != "cpu" and bool(gpu_nodes))
        if self._gpus:  # each actor has one, and its share of the cores
            cores = [(node.get("CPU", 0), node["GPU"]) for node in gpu_nodes]
        else:
            cores = [(node.get("CPU", 0), 1) for node in nodes]
        sizes = (max(1, int(count // actors)) for count, actors in cores if count >= 1)
        self._cores = min([ACTOR_CORES, *sizes])
        self._threads = self._cores * self._threads_per_core
        self._shared_task = self._ray.put(replace(task, cores=self._cores, threads=self._threads))

    def _nodes(self) -> list[dict[str, float]]:
        return [node["Resources"] for node in self._ray.nodes() if node["Alive"]]

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do."""
        return not (self._running or self._suspects)

    def count_workers(self) -> int:
        """Return how many groups are computed at a time."""
        return max(1, len(self._busy)) * self._cores

    def grow(self) -> None:
        """Start actors where there is room for them, at most one look in GROW_SECONDS.

        Raises:
            UsageError: no machine is large enough for one, for NO_ROOM_SECONDS.
        """
        now = time.monotonic()
        if not self._starting:
            self._waits_since = now
        if now - self._last_look < GROW_SECONDS * 2 ** min(self._failed_starts, MAX_FAILED_STARTS):
            return
        self._last_look = now
        room = self._count_room()
        if not (room or self._busy):  # smaller machines may have come
            size = self._gpus, self._cores
            self._divide()
            if (self._gpus, self._cores) != size:
                self._kill(*self._starting.values())
                self._starting.clear()
                room = self._count_room()
        make: Any = self._ray.remote(Worker).options(
            num_cpus=self._cores, num_gpus=self._gpus, max_concurrency=self._threads
        )
        for _ in range(max(1, room) - len(self._busy) - len(self._starting)):
            actor = make.remote(self._shared_task)
            self._starting[actor.is_ready.remote()] = actor
        self._tell_waiting(now - self._waits_since, room)

    def _count_room(self) -> int:
        """Return how many actors the machines have room for, if nothing else runs on them."""
        each = {"CPU": self._cores} | ({"GPU": 1} if self._gpus else {})
        return sum(
            min(int(node.get(kind, 0) // count) for kind, count in each.items())
            for node in self._nodes()
        )

    def _tell_waiting(self, seconds: float, room: int) -> None:
        """Tell the user once that actors wait for room; end the run if there is never any.

        Args:
            seconds: since when they wait.
            room: actors that the machines are large enough for.

        Raises:
            UsageError: no machine is large enough for one, for NO_ROOM_SECONDS.
        """
        cores = f"{self._cores} CPU{'s' if self._cores > 1 else ''}"
        need = f"{cores}{' and a GPU' if self._gpus else ''}"
        if seconds > NO_ROOM_SECONDS and not (room or self._busy):
            what = f"--ray: no machine of the cluster has {need}, which an actor takes"
            raise UsageError(what, "`ray status` shows what there is")
        if seconds > WAITING_SECONDS and not self._has_told:
            self._has_told = True
            free, whole = self._ray.available_resources(), self._ray.cluster_resources()
            kinds = ("CPU", "GPU") if self._gpus else ("CPU",)
            are = ", ".join(
                f"{free.get(kind, 0):g} of {whole.get(kind, 0):g} {kind}s" for kind in kinds
            )
            ready, waiting = len(self._busy), len(self._starting)
            hint = "`ray status` shows what takes them; the run goes on where there is room"
            if not room:
                most = f"{NO_ROOM_SECONDS / 60:.0f} minutes"
                hint = f"no machine is large enough; without one the run ends after {most}"
            print_note(
                f"note: --ray: {waiting} of {waiting + ready} actors have not started for "
                f"{seconds:.0f} s; each takes {need}, and free are {are}",
                f"hint: {hint}",
            )

    def find_free(self, group: Group) -> Any:
        """Return an actor that has less to do than it can take; None if there is none.

        A film or an album, which takes all cores, goes to one that has nothing to do. One that
        suspects wait for gets nothing else.
        """
        others = (actor for actor in self._busy if not (self._suspects and actor == self._alone))
        actor = min(others, key=self._busy.__getitem__, default=None)
        # One group more than it works on: the next is there when one is done.
        most = 0 if self._album or group.photos[0].is_film else self._threads
        return actor if actor and self._busy[actor] <= most else None

    def submit(self, actor: Any, group: Group) -> None:
        """Give an actor something to do."""
        self._running[actor.colourize.remote(group.photos)] = actor, group
        self._busy[actor] += 1

    def submit_suspect(self) -> None:
        """Give the next suspect to an actor that has nothing else to do."""
        if self._suspects and self._busy:
            if self._alone not in self._busy:
                self._alone = min(self._busy, key=self._busy.__getitem__)
            if not self._busy[self._alone]:
                self.submit(self._alone, self._suspects.popleft())

    def collect(self) -> Iterator[Outcome]:
        """Wait a moment; yield the outcomes that have come.

        Raises:
            UsageError: no actor can be started.
        """
        results = [*self._starting, *self._running]
        if not results:  # no machine is there yet, or none of them can start an actor
            time.sleep(WAIT_SECONDS)
            return
        done, _ = self._ray.wait(results, num_returns=len(results), timeout=WAIT_SECONDS)
        for result in done:
            if result in self._starting:
                self._take_started(result)
                continue
            actor, group = self._running.pop(result)
            if actor in self._busy:
                self._busy[actor] -= 1
            try:
                yield from self._ray.get(result)
            except self._ray.exceptions.RayTaskError as error:
                yield from self._take_lost(group, one_line(str(error.cause)))
            except self._ray.exceptions.RayError:
                self._drop(actor)
                yield from self._take_lost(group, "perhaps memory is short")

    def _take_started(self, ready: Any) -> None:
        actor = self._starting.pop(ready)
        try:
            self._ray.get(ready)
        except self._ray.exceptions.RayError as error:
            self._failed_starts += 1
            if self._failed_starts >= MAX_FAILED_STARTS and not (self._busy or self._starting):
                reason = str(error).strip().rpartition("\n")[2]
                hint = "the program has to be installed on every machine of the cluster"
                raise UsageError(f"--ray: no actor could start ({reason})", hint) from error
        else:
            self._failed_starts = 0
            self._busy[actor] = 0

    def _take_lost(self, group: Group, reason: str) -> Iterator[Outcome]:
        """Let photographs be tried again, each alone; or say that one has failed.

        An album is tried whole once more, then in halves, so that most of it stays together.
        """
        losses, photos = group.losses + 1, group.photos
        if len(photos) == 1 and losses >= MAX_LOSSES:
            what = f"what coloured it ended {losses} times ({reason})"
            yield Outcome(photos[0].source, "failed", reason=what)
            return
        size = 1
        if self._album:
            size = len(photos) if losses == 1 else (len(photos) + 1) // 2
        for first in range(0, len(photos), size):
            again = photos[first : first + size]
            # A half has one, so that it is halved if it is lost, too.
            self._suspects.append(Group(again, losses if len(again) == len(photos) else 1))

    def _drop(self, actor: Any) -> None:
        """Forget a lost actor; if it still lives somewhere, end it."""
        if self._busy.pop(actor, None) is not None:
            self._last_look = float("-inf")
            self._kill(actor)

    def _kill(self, *actors: Any) -> None:
        for actor in actors:
            with suppress(Exception):  # its machine is gone
                self._ray.kill(actor)

    def end(self) -> Iterator[Outcome]:
        """End all actors; yield the outcomes of what was not done."""
        self._kill(*self._busy, *self._starting.values())
        groups = (*(group for _, group in self._running.values()), *self._suspects)
        for photo in (photo for group in groups for photo in group.photos):
            yield Outcome(photo.source, "stopped", reason="stopped")


def colourize_on_cluster(
    found: Iterable[FoundPhoto], task: Task, threads_per_core: int, stop: Interrupt
) -> Iterator[Outcome]:
    """Colour photographs, then films, on all machines of the Ray cluster that was joined.

    Local paths have to lead to the same files on all machines. A photograph whose actor is lost is
    tried by another one, alone on it, for it may be the reason.

    Args:
        found: from `stream_photos`; listed no further ahead than needed.
        task: what is done with them.
        threads_per_core: of each actor; more than one if they wait for a storage.
        stop: once it has an exit code no further photograph is begun.

    Yields:
        The outcome of each, as they come, once its files are written.

    Raises:
        UsageError: no actor can be started.
    """
    outputs = replace(task.outputs, output=_absolute(task.outputs.output))
    hints = {_absolute(place): hints for place, hints in task.colours.hints.items()}
    task = replace(task, outputs=outputs, colours=replace(task.colours, hints=hints))
    pool = Pool(task, threads_per_core)
    absolute = (photo._replace(source=_absolute(photo.source)) for photo in found)
    films: list[FoundPhoto] = []
    photos = set_films_aside(absolute, films)
    if task.colours.album:
        cut: Iterator[list[FoundPhoto]] = cut_albums(photos)
    else:
        cut = cut_stream(photos, GROUP_SIZE, pool.count_workers)
    each_film = ([film] for film in films)
    groups: Iterator[Group] = map(Group, itertools.chain(cut, each_film))
    group, end = next(groups, None), float("inf")
    try:
        while (group or not pool.is_idle) and time.monotonic() < end:
            if stop.exit_code:
                group, end = None, min(end, time.monotonic() + PATIENCE)
            else:
                pool.grow()
                pool.submit_suspect()
                while group and (actor := pool.find_free(group)):
                    pool.submit(actor, group)
                    group = next(groups, None)
            for outcome in pool.collect():
                if outcome.disk_full or outcome.login_expired:
                    group, groups = None, iter(())
                yield outcome
    finally:
        not_done = list(pool.end())
    yield from not_done


def _absolute(location: Location) -> Location:
    return location.absolute() if isinstance(location, Path) else location
