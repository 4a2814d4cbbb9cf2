"""batching.py: many threads, one network, every answer to whom it belongs."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from colourizer.inference.batching import Batching


class Network:
    """Doubles its input; remembers how large its batches were.

    The first batch is not ready before `until` is true.
    """

    def __init__(self, most: int = 1000) -> None:
        self.batches: list[int] = []
        self.most = most
        self.until: Callable[[], bool] = lambda: True

    def __call__(self, batch: torch.Tensor) -> list[torch.Tensor]:
        self.batches.append(len(batch))
        while not self.until():
            time.sleep(0.001)
        self.until = lambda: True
        if len(batch) > self.most:
            raise torch.OutOfMemoryError("out of memory")
        if (batch < 0).any():
            raise ValueError("negative")
        return [batch * 2, batch + 1]


def ask_all(batching: Batching, inputs: list[torch.Tensor]) -> list[Sequence[torch.Tensor]]:
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(batching, inputs))


def numbered(count: int) -> list[torch.Tensor]:
    """Return inputs of two shapes."""
    return [torch.full((1, 1, 2, 2 + i % 2), float(i)) for i in range(count)]


def test_every_thread_gets_its_own_answer_and_batches_form_by_themselves():
    network = Network()
    inputs = numbered(64)
    batching = Batching(network, batch_size=8)
    network.until = lambda: len(batching._waiting) == 15  # of 16 threads, one computes
    answers = ask_all(batching, inputs)
    for (double, next_one), each in zip(answers, inputs, strict=True):
        assert torch.equal(double, each * 2)
        assert torch.equal(next_one, each + 1)
    assert sum(network.batches) == 64
    assert network.batches[0] == 1
    assert network.batches[1] in (7, 8)  # of each shape, so many wait
    assert max(network.batches) <= 8


def test_where_memory_is_short_batches_are_halved():
    network = Network(most=2)
    inputs = numbered(40)
    batching = Batching(network, batch_size=16)
    network.until = lambda: len(batching._waiting) == 15
    answers = ask_all(batching, inputs)
    for (double, next_one), each in zip(answers, inputs, strict=True):
        assert torch.equal(double, each * 2)
        assert torch.equal(next_one, each + 1)
    assert batching.batch_size <= 2


def test_what_does_not_fit_alone_fails_alone():
    batching = Batching(Network(most=0), batch_size=4)
    with pytest.raises(torch.OutOfMemoryError):
        batching(torch.ones(1, 1, 2, 2))


def test_an_error_of_the_network_reaches_those_who_asked():
    batching = Batching(Network(), batch_size=4)
    with pytest.raises(ValueError, match="negative"):
        batching(-torch.ones(1, 1, 2, 2))
    assert batching(torch.ones(1, 1, 2, 2))[0].sum() == 8


def test_nobody_waits_for_ever_when_the_one_who_computes_is_interrupted():
    def interrupted(batch: torch.Tensor) -> torch.Tensor:
        time.sleep(0.05)
        raise KeyboardInterrupt

    batching, errors = Batching(interrupted, batch_size=8), []

    def ask() -> None:
        try:
            batching(torch.ones(1, 1, 2, 2))
        except KeyboardInterrupt as error:
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=5)
    assert len(errors) == 6


def test_a_thread_that_asks_alone_does_not_wait_for_others():
    batching = Batching(Network(), batch_size=8)
    begun = time.monotonic()
    thread = threading.Thread(target=batching, args=(torch.ones(1, 1, 2, 2),))
    thread.start()
    thread.join(timeout=5)
    assert not thread.is_alive()
    assert time.monotonic() - begun < 5
