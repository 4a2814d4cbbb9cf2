"""parallel.py: never more than there is, and nobody waits for ever."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from colourizer.runtime.parallel import BoundedExecutor, PixelBudget, prefetch


def test_never_more_is_held_than_there_is_and_all_get_their_turn():
    budget, lock = PixelBudget(10), threading.Lock()
    held, most = 0, 0

    def work(amount: int) -> int:
        nonlocal held, most
        with budget.hold(amount):
            with lock:
                held += min(amount, 10)
                most = max(most, held)
            time.sleep(0.002)
            with lock:
                held -= min(amount, 10)
        return amount

    amounts = [1, 3, 5, 25, 9, 4] * 8
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, amounts)) == amounts
    assert 5 < most <= 10


def test_room_is_given_back_when_the_work_fails():
    budget = PixelBudget(1)
    for _ in range(3):
        try:
            with budget.hold(1):
                raise ValueError
        except ValueError:
            pass
    with budget.hold(1):
        pass


def test_what_only_waits_is_done_aside_and_no_more_of_it_than_there_are_threads():
    lock, running, most = threading.Lock(), 0, 0

    def wait(n: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1
        if n == 3:
            raise OSError("gone")
        return n

    with BoundedExecutor(2) as executor:
        released = threading.Event()
        first = executor.submit(lambda: released.wait() and wait(0))
        assert not first.done()  # whoever submits does not wait
        released.set()
        others = []
        for n in range(1, 8):
            others.append(executor.submit(lambda n=n: wait(n)))
            assert sum(not future.done() for future in (first, *others)) <= 2 + 1
    assert most == 2
    assert [future.result() for future in (first, *others) if not future.exception()] == [
        0, 1, 2, 4, 5, 6, 7
    ]  # fmt: skip
    assert str(others[2].exception()) == "gone"


def test_prefetch_yields_all_in_order_and_runs_ahead_no_further_than_told():
    taken = []

    def items():
        for n in range(20):
            taken.append(n)
            yield n

    ahead = prefetch(items(), 3)
    assert next(ahead) == 0
    time.sleep(0.3)
    assert len(taken) <= 1 + 3 + 1  # what was yielded, what waits, what the thread holds
    assert list(ahead) == list(range(1, 20))


def test_prefetch_raises_what_its_iterable_raised_after_what_came_before():
    def items():
        yield 1
        raise ZeroDivisionError("no")

    ahead = prefetch(items(), 3)
    assert next(ahead) == 1
    with pytest.raises(ZeroDivisionError, match="no"):
        next(ahead)


def test_a_closed_prefetch_closes_its_iterable_and_leaves_no_thread():
    closed = []

    def items():
        try:
            while True:
                yield 0
        finally:
            closed.append(True)

    before = threading.active_count()
    ahead = prefetch(items(), 2)
    next(ahead)
    ahead.close()
    assert closed == [True]
    assert threading.active_count() == before
