"""What several threads ask of a network at the same time, it answers in batches."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock

import torch
from torch import Tensor


class Batching:
    """A network that threads may call as they like; see `__call__`.

    Nobody waits for a batch to fill: whatever came while one batch was computed makes the next.
    """

    def __init__(self, network: Callable[[Tensor], Tensor], most: int) -> None:
        """Take a network, and how many inputs it is given at a time; fewer if memory is short."""
        self.network = network
        self.most = most
        self._waiting: list[tuple[Tensor, Future[Tensor]]] = []
        self._list = Lock()  # held while the list changes
        self._turn = Lock()  # held while a batch is computed

    def __call__(self, one: Tensor) -> Tensor:
        """Give the network's answer, (1, ...), to one input, (1, ...)."""
        mine: Future[Tensor] = Future()
        with self._list:
            self._waiting.append((one, mine))
        while not mine.done():
            with self._turn:
                if not mine.done():  # nobody else's batch had room for it
                    self._answer(one.shape)
        return mine.result()

    def _answer(self, shape: torch.Size) -> None:
        """Compute a batch of those that wait with inputs of one shape."""
        with self._list:
            batch = [item for item in self._waiting if item[0].shape == shape][: self.most]
            taken = {id(future) for _, future in batch}
            self._waiting = [item for item in self._waiting if id(item[1]) not in taken]
        try:
            inputs = torch.cat([one for one, _ in batch])
            answers = self.network(inputs).split(1)
            if inputs.is_cuda:  # till then others may join the next batch
                torch.cuda.synchronize(inputs.device)
        except BaseException as error:
            # Besides torch.OutOfMemoryError there are libraries' own.
            if len(batch) > 1 and isinstance(error, RuntimeError) and "memory" in str(error):
                with self._list:
                    self._waiting = batch + self._waiting
                self.most = len(batch) // 2
                return
            for _, future in batch:
                future.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            future.set_result(answer)
