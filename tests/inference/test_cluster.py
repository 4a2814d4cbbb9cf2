"""cluster.py: when actors that cannot start end a run; on a Ray that is made up."""

import sys
import time
from collections import Counter
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from colourizer.inference import cluster
from colourizer.inference.looks import Look
from colourizer.inference.output_plan import OutputOptions
from colourizer.inference.run import ColourOptions
from colourizer.runtime.cli import UsageError


class RayError(Exception):
    """As Ray's, of an actor that could not start."""


class FakeRay:
    """Ray with a machine of so many cores; `done` has the results that are there."""

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayError)

    def __init__(self, *nodes: dict[str, int]) -> None:
        self.resources = list(nodes)
        self.made: list[int] = []
        self.asked: list[tuple[object, object]] = []
        self.killed: list[int] = []
        self.done: dict[object, Exception | None] = {}

    def nodes(self) -> list[dict[str, object]]:
        return [{"Alive": True, "Resources": node} for node in self.resources]

    def cluster_resources(self) -> Counter[str]:
        return sum(map(Counter, self.resources), Counter())

    def available_resources(self) -> dict[str, int]:
        return {}

    def kill(self, actor: Mock) -> None:
        self.killed.append(actor.is_ready.remote())

    def put(self, task: object) -> object:
        return task

    def remote(self, _worker: type) -> "FakeRay":
        return self

    def options(self, num_cpus: int, num_gpus: int, **_: object) -> SimpleNamespace:
        self.asked.append((num_cpus, num_gpus))
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
    ray = FakeRay({"CPU": 4 * cluster.ACTOR_CORES})
    monkeypatch.setitem(sys.modules, "ray", ray)
    return ray


def make_pool(device: str = "cpu") -> cluster.Pool:
    outputs, colours = OutputOptions(), ColourOptions()
    task = cluster.Task(b"", "", device, Look(), outputs, colours, None, Mock())
    pool = cluster.Pool(task, 1)
    pool.grow()
    return pool


@pytest.fixture
def pool(ray):
    return make_pool()


@pytest.fixture
def wait(monkeypatch):
    """A function that lets seconds pass."""
    passed = [time.monotonic()]

    def wait(seconds: float) -> None:
        passed[0] += seconds

    monkeypatch.setattr(cluster, "time", SimpleNamespace(monotonic=lambda: passed[0]))
    return wait


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


def test_actors_that_wait_for_room_are_told_of_once_and_the_others_work(ray, wait, capsys):
    pool = make_pool()
    ray.done[0] = None
    list(pool.collect())
    for _ in range(3):
        wait(cluster.NO_ROOM_SECONDS)
        pool.grow()
    note, hint = capsys.readouterr().err.splitlines()
    said = f"3 of 4 actors have not started for {cluster.NO_ROOM_SECONDS:.0f} s; each takes 4 CPUs"
    assert note == f"note: --ray: {said}, and free are 0 of 16 CPUs"
    assert hint.startswith("hint: `ray status`")
    assert ray.made == [0, 1, 2, 3]


def test_actors_that_start_within_a_minute_are_not_told_of(ray, wait, capsys):
    pool = make_pool()
    wait(cluster.WAITING_SECONDS - 1)
    pool.grow()
    ray.done = dict.fromkeys(ray.made)
    list(pool.collect())
    wait(cluster.WAITING_SECONDS)
    pool.grow()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("nodes", [[], [{"CPU": 0}], [{"CPU": 0, "GPU": 1}]])
def test_a_run_ends_if_no_machine_is_ever_large_enough(ray, wait, capsys, nodes):
    ray.resources = nodes
    pool = make_pool("auto")
    wait(cluster.NO_ROOM_SECONDS)
    pool.grow()
    assert "hint: no machine is large enough; without one the" in capsys.readouterr().err
    wait(cluster.GROW_SECONDS)
    with pytest.raises(UsageError, match="--ray: no machine of the cluster has 4 CPUs"):
        pool.grow()


def test_machines_that_come_later_have_room_for_smaller_actors(ray, wait):
    ray.resources = [{"CPU": 0}]
    pool = make_pool()
    assert ray.asked[-1] == (cluster.ACTOR_CORES, 0)
    ray.resources += [{"CPU": 2}, {"CPU": 3}]
    wait(cluster.GROW_SECONDS)
    pool.grow()
    assert (ray.asked[-1], ray.killed, ray.made) == ((2, 0), [0], [0, 1, 2])


@pytest.mark.parametrize(
    ("nodes", "size", "actors"),
    [
        ([{"CPU": 8, "GPU": 2}], (4, 1), 2),
        ([{"CPU": 1, "GPU": 2}], (1, 1), 1),
        ([{"CPU": 8, "GPU": 1}, {"CPU": 0, "GPU": 1}, {"CPU": 64}], (4, 1), 1),
        ([{"CPU": 64}, {"CPU": 3}], (3, 0), 22),
    ],
)
def test_actors_have_a_size_and_a_number_that_the_machines_have_room_for(ray, nodes, size, actors):
    ray.resources = nodes
    make_pool("auto")
    assert (ray.asked, len(ray.made)) == ([size], actors)
