"""threads.py: never more than there is, and nobody waits for ever."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from threads import Room


def test_never_more_is_held_than_there_is_and_all_get_their_turn():
    room, lock = Room(10), threading.Lock()
    held, most = 0, 0

    def work(amount: int) -> int:
        nonlocal held, most
        with room.take(amount):
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
    room = Room(1)
    for _ in range(3):
        try:
            with room.take(1):
                raise ValueError
        except ValueError:
            pass
    with room.take(1):
        pass
