"""reference_store.py: references are found, bounded, kept in use and expire."""

from typing import Any, cast

import pytest

from colourizer.app import reference_store
from colourizer.app.photo_store import NotFoundError
from colourizer.app.reference_store import ReferenceStore


def reference(name: str) -> Any:
    return cast(Any, name)


def test_the_least_recently_used_reference_is_dropped(monkeypatch):
    monkeypatch.setattr(reference_store, "MAX_REFERENCES", 2)
    store = ReferenceStore()
    first, second = store.add(reference("a")), store.add(reference("b"))
    assert store.find(first) == "a"
    third = store.add(reference("c"))
    assert [store.find(key) for key in (first, third)] == ["a", "c"]
    with pytest.raises(NotFoundError, match="choose it again"):
        store.find(second)


def test_what_is_not_used_expires(monkeypatch):
    now = 0.0
    monkeypatch.setattr(reference_store.time, "monotonic", lambda: now)
    store = ReferenceStore()
    kept, dropped = store.add(reference("a")), store.add(reference("b"))
    now = reference_store.EXPIRY_SECONDS - 1
    store.touch([kept, "gone"])
    now += 2
    store.remove_expired()
    assert store.find(kept) == "a"
    with pytest.raises(NotFoundError):
        store.find(dropped)


def test_a_removed_reference_is_gone():
    store = ReferenceStore()
    key = store.add(reference("a"))
    store.remove([key, "gone"])
    with pytest.raises(NotFoundError):
        store.find(key)
