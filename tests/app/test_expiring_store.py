"""expiring_store.py: items are found, bounded, kept in use and expire."""

import pytest

from colourizer.app import expiring_store
from colourizer.app.expiring_store import ExpiringStore
from colourizer.app.photo_store import NotFoundError

REMOVED = "choose it again"


def test_the_least_recently_used_item_is_dropped():
    store = ExpiringStore[str](2, REMOVED)
    first, second = store.add("a"), store.add("b")
    assert store.find(first) == "a"
    third = store.add("c")
    assert [store.find(key) for key in (first, third)] == ["a", "c"]
    with pytest.raises(NotFoundError, match=REMOVED):
        store.find(second)


def test_what_is_not_used_expires(monkeypatch):
    now = 0.0
    monkeypatch.setattr(expiring_store.time, "monotonic", lambda: now)
    store = ExpiringStore[str](2, REMOVED)
    kept, dropped = store.add("a"), store.add("b")
    now = expiring_store.EXPIRY_SECONDS - 1
    store.touch([kept, "gone"])
    now += 2
    store.remove_expired()
    assert store.find(kept) == "a"
    with pytest.raises(NotFoundError):
        store.find(dropped)


def test_a_removed_item_is_gone():
    store = ExpiringStore[str](2, REMOVED)
    key = store.add("a")
    store.remove([key, "gone"])
    with pytest.raises(NotFoundError):
        store.find(key)
