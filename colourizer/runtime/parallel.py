"""Work in threads: results in order, a bound on what is in memory, waiting done by others."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from queue import Full, Queue
from threading import Condition, Event, Semaphore, Thread
from typing import Any, TypeVar

T = TypeVar("T")


def map_ordered(
    items: Iterable[T],
    function: Callable[[T], Any],
    threads: int,
    ahead: int,
    initializer: Callable[[], object] | None = None,
) -> Iterator[tuple[T, Any]]:
    """Call a function for each item in a pool of threads.

    Args:
        items: what it is called with.
        function: an exception that it raises is yielded in place of the result.
        threads: size of the pool.
        ahead: how many results may wait for the consumer.
        initializer: called once in each thread of the pool, before anything else.

    Yields:
        (item, result), in the order of the items.
    """

    def guarded(item: T) -> Any:
        try:
            return function(item)
        except Exception as error:
            return error

    with ThreadPoolExecutor(threads, initializer=initializer) as pool:
        running: deque[tuple[T, Future[Any]]] = deque()
        try:
            for item in items:
                running.append((item, pool.submit(guarded, item)))
                if len(running) > ahead:
                    done, result = running.popleft()
                    yield done, result.result()
            while running:
                done, result = running.popleft()
                yield done, result.result()
        finally:
            for _, result in running:
                result.cancel()


class BoundedExecutor:
    """Thread pool for blocking I/O; `submit` blocks while all workers are busy."""

    def __init__(self, workers: int) -> None:
        self._pool = ThreadPoolExecutor(workers)
        self._free = Semaphore(workers)

    def submit(self, function: Callable[[], T]) -> "Future[T]":
        """Call a function in a worker, as soon as one is free; return its future."""
        self._free.acquire()
        future = self._pool.submit(function)
        future.add_done_callback(lambda _: self._free.release())
        return future

    def __enter__(self) -> "BoundedExecutor":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()


class PixelBudget:
    """Bound on the pixels in memory over all threads, `total`; `hold` blocks until they fit."""

    def __init__(self, pixels: int) -> None:
        self._free = self.total = pixels
        self._changed = Condition()

    @contextmanager
    def hold(self, pixels: int) -> Iterator[None]:
        """Reserve pixels of the budget; a request beyond all of it waits for all of it."""
        pixels = min(pixels, self.total)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= pixels)
            self._free -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()


def prefetch(items: Iterable[T], ahead: int) -> Generator[T, None, None]:
    """Yield items that a thread of its own takes from an iterable, some ahead of the consumer.

    Args:
        items: its exception is raised here. If it is a generator it is closed in that thread, also
            when the consumer closes this one.
        ahead: how many items may wait for the consumer.
    """
    waiting: Queue[tuple[bool, Any]] = Queue(ahead)
    closed = Event()

    def put(is_item: bool, value: Any) -> None:
        while not closed.is_set():
            with suppress(Full):
                waiting.put((is_item, value), timeout=0.1)
                return

    def take() -> None:
        try:
            for item in items:
                put(True, item)
                if closed.is_set():
                    break
        except BaseException as error:
            put(False, error)
        else:
            put(False, None)
        finally:
            if isinstance(items, Generator):
                items.close()

    thread = Thread(target=take, daemon=True)
    thread.start()
    try:
        while True:
            is_item, value = waiting.get()
            if is_item:
                yield value
            elif value is None:
                return
            else:
                raise value
    finally:
        closed.set()
        thread.join()
