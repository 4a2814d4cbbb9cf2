"""Dynamic batching: the inputs of many threads are computed in batches, on a GPU."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Lock

import torch
from torch import Tensor


class Batching:
    """A network that any number of threads may call; see `__call__`.

    No call waits for a batch to fill: those that came during one batch make up the next.
    """

    def __init__(self, network: Callable[[Tensor], Sequence[Tensor]], batch_size: int) -> None:
        """Take a network and the largest batch size, which is halved if memory runs out.

        The network returns one or more outputs (B, ...) for inputs (B, ...).
        """
        self.network = network
        self.batch_size = batch_size
        self._waiting: list[tuple[Tensor, Future[Sequence[Tensor]]]] = []
        self._waiting_lock = Lock()
        self._batch_lock = Lock()  # held while a batch is computed

    def __call__(self, one: Tensor) -> Sequence[Tensor]:
        """Return the network's outputs (1, ...) for one input (1, ...)."""
        mine: Future[Sequence[Tensor]] = Future()
        with self._waiting_lock:
            self._waiting.append((one, mine))
        while not mine.done():
            with self._batch_lock:
                if not mine.done():  # no other thread's batch had room for it
                    self._compute_batch(one.shape)
        return mine.result()

    def _compute_batch(self, shape: torch.Size) -> None:
        """Compute a batch of the waiting inputs of one shape."""
        with self._waiting_lock:
            batch = [item for item in self._waiting if item[0].shape == shape][: self.batch_size]
            taken = {id(future) for _, future in batch}
            self._waiting = [item for item in self._waiting if id(item[1]) not in taken]
        try:
            inputs = torch.cat([one for one, _ in batch])
            outputs = zip(*(output.split(1) for output in self.network(inputs)), strict=True)
            if inputs.is_cuda:  # until then others may join the next batch
                torch.cuda.synchronize(inputs.device)
        except BaseException as error:
            # Besides torch.OutOfMemoryError there are libraries' own.
            if len(batch) > 1 and isinstance(error, RuntimeError) and "memory" in str(error):
                with self._waiting_lock:
                    self._waiting = batch + self._waiting
                self.batch_size = len(batch) // 2
                return
            for _, future in batch:
                future.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for (_, future), output in zip(batch, outputs, strict=True):
            future.set_result(output)
