"""Work in threads on behalf of requests, with a bound on how much of it waits."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from starlette.exceptions import HTTPException

T = TypeVar("T")


def busy_error() -> HTTPException:
    """Return the answer to a request for which there is no room now."""
    return HTTPException(
        503, "too much is asked at once; try again in a moment", {"Retry-After": "1"}
    )


class WorkQueue:
    """Pool of threads that refuses work when too much is pending."""

    def __init__(self, name: str, threads: int, most_pending: int) -> None:
        """Create a queue.

        Args:
            name: of the threads.
            threads: how many work at the same time.
            most_pending: calls in work, or waiting for it.
        """
        self._pool = ThreadPoolExecutor(threads, name)
        self._most_pending = most_pending
        self._pending = 0

    def refuse_if_full(self) -> None:
        """Raise HTTPException, 503, if no more work is taken at the moment."""
        if self._pending >= self._most_pending:
            raise busy_error()

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function in a thread and return its result.

        Raises:
            HTTPException: 503, if too much is pending.
        """
        self.refuse_if_full()
        self._pending += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, function, *arguments)
        finally:
            self._pending -= 1

    def stop(self) -> None:
        """Take no more work, and forget what has not begun."""
        self._pool.shutdown(wait=False, cancel_futures=True)
