"""What several threads share: lists of work, and a bound on how much is in memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Condition, Semaphore
from typing import Any, TypeVar

T = TypeVar("T")


def each(
    items: Iterable[T],
    do: Callable[[T], Any],
    threads: int,
    ahead: int,
    begin: Callable[[], object] | None = None,
) -> Iterator[tuple[T, Any]]:
    """Do something with many things in threads; give the results in order.

    Args:
        items: the things.
        do: is called with each; what it raises is given in the result's place.
        threads: how many.
        ahead: how many results are kept at most for who takes them.
        begin: is called once in each thread, before it does anything.
    """

    def guarded(item: T) -> Any:
        try:
            return do(item)
        except Exception as error:
            return error

    with ThreadPoolExecutor(threads, initializer=begin) as pool:
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


class Aside:
    """Threads that do what only waits, so that who asks for it goes on meanwhile."""

    def __init__(self, threads: int) -> None:
        """Take how many; who asks for more than they can do waits too."""
        self._pool = ThreadPoolExecutor(threads)
        self._free = Semaphore(threads)

    def do(self, what: Callable[[], T]) -> "Future[T]":
        """Have something done, as soon as a thread is free."""
        self._free.acquire()
        future = self._pool.submit(what)
        future.add_done_callback(lambda _: self._free.release())
        return future

    def __enter__(self) -> "Aside":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()


class Room:
    """So much room, in whatever unit; who finds too little waits."""

    def __init__(self, size: int) -> None:
        self._free = self._size = size
        self._changed = Condition()

    @contextmanager
    def take(self, amount: int) -> Iterator[None]:
        """Hold some of it; who wants more than there is gets all."""
        amount = min(amount, self._size)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= amount)
            self._free -= amount
        try:
            yield
        finally:
            with self._changed:
                self._free += amount
                self._changed.notify_all()
