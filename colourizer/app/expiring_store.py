"""Store of what pages gave besides photographs: few items, found by keys, and expiring."""

import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from secrets import token_urlsafe
from threading import Lock
from typing import Generic, TypeVar

from colourizer.app.photo_store import EXPIRY_SECONDS, NotFoundError

T = TypeVar("T")


@dataclass
class StoredItem(Generic[T]):
    """An item, and when it was last used, in seconds."""

    item: T
    last_used: float


class ExpiringStore(Generic[T]):
    """Items of one kind, of all pages; any number of threads may share it."""

    def __init__(self, most: int, removed: str) -> None:
        """Create an empty store.

        Args:
            most: items; of more the least recently used one is dropped.
            removed: what is said of an item that is not there any more.
        """
        self._most, self._removed = most, removed
        self._items: OrderedDict[str, StoredItem[T]] = OrderedDict()  # least recently used first
        self._lock = Lock()

    def add(self, item: T) -> str:
        """Add an item and return its key; the least recently used one may be dropped."""
        key = token_urlsafe(16)  # cannot be guessed
        with self._lock:
            self._items[key] = StoredItem(item, time.monotonic())
            while len(self._items) > self._most:
                self._items.popitem(last=False)
        return key

    def find(self, key: str) -> T:
        """Return an item, and mark it as in use.

        Raises:
            NotFoundError: it is not in the store.
        """
        with self._lock:
            if key not in self._items:
                raise NotFoundError(self._removed)
            self._mark(key)
            return self._items[key].item

    def touch(self, keys: Iterable[str]) -> None:
        """Mark items as in use; keys that are not in the store are ignored."""
        with self._lock:
            for key in keys:
                if key in self._items:
                    self._mark(key)

    def _mark(self, key: str) -> None:
        self._items[key].last_used = time.monotonic()
        self._items.move_to_end(key)

    def remove(self, keys: Iterable[str]) -> None:
        """Remove items; keys that are not in the store are ignored."""
        with self._lock:
            for key in keys:
                self._items.pop(key, None)

    def remove_expired(self) -> None:
        """Remove the items that were not used for EXPIRY_SECONDS."""
        oldest = time.monotonic() - EXPIRY_SECONDS
        with self._lock:
            expired = [key for key, each in self._items.items() if each.last_used < oldest]
        self.remove(expired)
