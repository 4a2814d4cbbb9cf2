"""Store of the reference photographs that pages gave: in memory, few, and expiring."""

import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from secrets import token_urlsafe
from threading import Lock

from colourizer.app.photo_store import EXPIRY_SECONDS, NotFoundError
from colourizer.inference.prediction import Reference

MAX_REFERENCES = 16  # in memory, 5 MB each
REMOVED = "this reference is not here any more; choose it again"


@dataclass
class StoredReference:
    """A reference, and when it was last used, in seconds."""

    reference: Reference
    last_used: float


class ReferenceStore:
    """The references of all pages; any number of threads may share it."""

    def __init__(self) -> None:
        """Create an empty store."""
        self._references: OrderedDict[str, StoredReference] = OrderedDict()  # least recent first
        self._lock = Lock()

    def add(self, reference: Reference) -> str:
        """Add a reference and return its key; the least recently used one may be dropped."""
        key = token_urlsafe(16)  # cannot be guessed
        with self._lock:
            self._references[key] = StoredReference(reference, time.monotonic())
            while len(self._references) > MAX_REFERENCES:
                self._references.popitem(last=False)
        return key

    def find(self, key: str) -> Reference:
        """Return a reference, and mark it as in use.

        Raises:
            NotFoundError: it is not in the store.
        """
        with self._lock:
            if key not in self._references:
                raise NotFoundError(REMOVED)
            self._mark(key)
            return self._references[key].reference

    def touch(self, keys: Iterable[str]) -> None:
        """Mark references as in use; keys that are not in the store are ignored."""
        with self._lock:
            for key in keys:
                if key in self._references:
                    self._mark(key)

    def _mark(self, key: str) -> None:
        self._references[key].last_used = time.monotonic()
        self._references.move_to_end(key)

    def remove(self, keys: Iterable[str]) -> None:
        """Remove references; keys that are not in the store are ignored."""
        with self._lock:
            for key in keys:
                self._references.pop(key, None)

    def remove_expired(self) -> None:
        """Remove the references that were not used for EXPIRY_SECONDS."""
        oldest = time.monotonic() - EXPIRY_SECONDS
        with self._lock:
            expired = [key for key, each in self._references.items() if each.last_used < oldest]
        self.remove(expired)
