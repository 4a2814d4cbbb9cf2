"""cluster.py: when actors that cannot start end a run; on a Ray that is made up."""

import sys
import time
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from colourizer.inference import cluster
from colourizer.inference.batch import ColourOptions
from colourizer.inference.looks import Look
from colourizer.inference.output_plan import OutputOptions
from colourizer.runtime.cli import UsageError


class RayError(Exception):
    """As Ray's, of an actor that could not start."""


class FakeRay:
    """Ray with a machine of so many cores; `done` has the results that are there."""

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayError)

    def __init__(self, cores: int) -> None:
        self.cores = cores
        self.made: list[int] = []
        self.done: dict[object, Exception | None] = {}

    def nodes(self) -> list[dict[str, object]]:
        return [{"Alive": True, "Resources": {"CPU": self.cores}}]

    def put(self, task: object) -> object:
        return task

    def remote(self, _worker: type) -> "FakeRay":
        return self

    def options(self, **_: object) -> SimpleNamespace:
        return SimpleNamespace(remote=self.make_actor)

    def make_actor(self, _task: object) -> Mock:
        self.made.append(len(self.made))
        return Mock(**{"is_ready.remote.return_value": self.made[-1]})

    def wait(self, results: list, num_returns: int, timeout: float) -> tuple[list, list]:
        return [result for result in results if result in self.done], []

    def get(self, result: object) -> None:
        if error := self.done[result]:
            raise error


@pytest.fixture
def ray(monkeypatch):
    ray = FakeRay(4 * cluster.ACTOR_CORES)
    monkeypatch.setitem(sys.modules, "ray", ray)
    return ray


@pytest.fixture
def pool(ray):
    outputs, colours = OutputOptions(), ColourOptions()
    task = cluster.Task(b"", "", "cpu", Look(), outputs, colours, None, lambda *_: None)
    pool = cluster.Pool(task, 1)
    pool.grow()
    return pool


def test_actors_that_cannot_start_end_a_run_once_no_other_one_may(ray, pool):
    assert ray.made == [0, 1, 2, 3]
    ray.done = dict.fromkeys(ray.made[:3], RayError("no such module"))
    assert list(pool.collect()) == []
    ray.done[3] = RayError("no such module")
    with pytest.raises(UsageError, match="no actor could start \\(no such module\\)"):
        list(pool.collect())


def test_machines_are_looked_for_again_however_many_starts_have_failed(ray, pool, monkeypatch):
    ray.done[0] = None
    list(pool.collect())
    now = time.monotonic()
    for n in range(1, 21):
        later = SimpleNamespace(monotonic=lambda n=n: now + 60 * n)
        monkeypatch.setattr(cluster, "time", later)
        ray.done |= dict.fromkeys(ray.made[1:], RayError("no such module"))
        list(pool.collect())
        pool.grow()
        assert len(ray.made) == 4 + 3 * n
