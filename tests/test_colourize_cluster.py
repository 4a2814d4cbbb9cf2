"""colourize.py on a Ray cluster: every scan once, whole and reported, whatever breaks."""

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image
from support.s3_server import s3_buckets
from support.scenes import ROOT, scene

pytestmark = pytest.mark.long
FEW_PROCESSES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_enable_metrics_collection": "0",
    "RAY_num_prestart_python_workers": "0",
    "RAY_prestart_worker_first_driver": "0",
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "4",
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": str(ROOT),
}
SCANS = 120
SENDING_OFTEN = (
    "import sys, colourize; from colourizer.record import stored_report;"
    "stored_report.SEND_SECONDS = 0.2; sys.exit(colourize.main())"
)


@contextmanager
def ray_cluster(monkeypatch, nodes: int):
    """Yield a cluster without cores on its head, and its nodes of one core each."""
    for name, value in FEW_PROCESSES.items():
        monkeypatch.setenv(name, value)
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    small = {"object_store_memory": 100_000_000, "include_dashboard": False}
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
    try:
        yield cluster, [cluster.add_node(num_cpus=1, **small) for _ in range(nodes)]
    finally:
        cluster.shutdown()


@pytest.fixture
def s3():
    """Yields (store that can fail, s3fs), with SCANS scans, one of them no photograph."""
    with s3_buckets() as (store, storage):
        files = []
        for seed in range(5):
            file = io.BytesIO()
            scene(seed).save(file, "JPEG")
            files.append(file.getvalue())
        for n in range(SCANS - 1):
            storage.pipe_file(f"scans/{n % 3}/scan{n:04}.jpg", files[n % 5])
        storage.pipe_file("scans/letter.jpg", b"dear aunt Mary")
        yield store, storage


def command(*args: object) -> list[str]:
    return [sys.executable, str(ROOT / "colourize.py"), *map(str, args)]


def wait_for(storage, count: int) -> None:
    """Wait until so many results are there."""
    end = time.monotonic() + 300
    while len(storage.find("colour")) < count:
        assert time.monotonic() < end, "no results come"
        time.sleep(0.2)


def check(storage) -> None:
    """Check that all results are there, each whole, and nothing else."""
    names = {name.removeprefix("colour/") for name in storage.find("colour")}
    scans = {name.removeprefix("scans/") for name in storage.find("scans")} - {"letter.jpg"}
    assert names == scans
    for name in names:
        with Image.open(io.BytesIO(storage.cat_file(f"colour/{name}"))) as image:
            image.load()
            assert (image.mode, image.size) == ("RGB", (64, 48))
    assert not storage.call_s3("list_multipart_uploads", Bucket="colour").get("Uploads")


def read_report(path) -> Counter[str]:
    """Return how many rows each scan has."""
    return Counter(json.loads(line)["source"] for line in path.read_text().splitlines())


def test_nodes_and_drivers_die_the_store_fails_and_every_scan_is_coloured_once(
    s3, tmp_path, monkeypatch, checkpoint_file
):
    store, storage = s3
    storage.mkdir("reports")
    store.delay = 0.02
    store.rates = {"slow down": 0.03, "internal": 0.02, "cut": 0.02}
    with ray_cluster(monkeypatch, 2) as (cluster, nodes):
        args = command("s3://scans", "-o", "s3://colour", "--ray", cluster.address,
                       "--report", "s3://reports/report.jsonl",
                       "--checkpoint", checkpoint_file)  # fmt: skip
        args[1:2] = ["-c", SENDING_OFTEN]
        first = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        wait_for(storage, 10)
        cluster.remove_node(nodes[0], allow_graceful=False)
        wait_for(storage, 40)
        first.send_signal(signal.SIGKILL)
        first.communicate()
        there = set(storage.find("colour"))
        parts = storage.find("reports")
        assert parts and all("report.jsonl.parts/" in part for part in parts)
        assert len(there) < SCANS - 1, "too late for a second run"
        cluster.add_node(num_cpus=1, object_store_memory=100_000_000)
        done = subprocess.run(args, capture_output=True, text=True, check=False)
        assert done.returncode == 1, done.stderr  # of the letter
        assert "error: s3://scans/letter.jpg: not an image" in done.stderr
        written = done.stdout.split()
        assert len(written) == len(set(written))
        assert not {name.removeprefix("s3://") for name in written} & there
    store.rates, store.delay = {}, 0.0
    check(storage)
    assert storage.find("reports") == ["reports/report.jsonl"]
    lines = storage.cat_file("reports/report.jsonl").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len({row["source"] for row in rows}) == len(rows) == SCANS
    for row in rows:
        name = row["output"].removeprefix("s3://")
        if not name.endswith("letter.jpg"):
            assert row["output_sha256"] == hashlib.sha256(storage.cat_file(name)).hexdigest()
    assert store.counts["slow down"] and store.counts["internal"]


def test_a_lost_node_in_one_run_loses_and_doubles_nothing(
    s3, tmp_path, monkeypatch, checkpoint_file
):
    store, storage = s3
    store.delay = 0.02
    with ray_cluster(monkeypatch, 2) as (cluster, nodes):
        args = command("s3://scans", "-o", "s3://colour", "--ray", cluster.address,
                       "--report", tmp_path / "report.jsonl",
                       "--checkpoint", checkpoint_file)  # fmt: skip
        run = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_for(storage, 20)
        cluster.remove_node(nodes[1], allow_graceful=False)
        _, err = run.communicate(timeout=600)
        assert run.returncode == 1, err
        assert "Traceback" not in err
    store.delay = 0.0
    check(storage)
    rows = read_report(tmp_path / "report.jsonl")
    assert (len(rows), set(rows.values())) == (SCANS, {1})


@pytest.mark.parametrize("options", [[], ["--album"]])
def test_a_scan_that_ends_its_actor_is_a_row_and_the_others_are_coloured(
    options, tmp_path, album, monkeypatch, checkpoint_file
):
    """The worker's process ends when it opens the one named so, as if memory were short."""
    for name, value in FEW_PROCESSES.items():
        monkeypatch.setenv(name, value)
    (album / "deadly.png").write_bytes((album / "photo0.png").read_bytes())
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys\n"
        "import colourize\n"
        "from colourizer.inference import cluster\n"
        "class Deadly(cluster.Worker):\n"
        "    def colourize(self, group):\n"
        "        if any('deadly' in photo.source.name for photo in group):\n"
        "            os._exit(1)\n"
        "        return super().colourize(group)\n"
        "cluster.Worker = Deadly\n"
        "sys.exit(colourize.main())\n"
    )
    args = [sys.executable, program, album, "-o", tmp_path / "out", "--ray", "local", "--json",
            "--checkpoint", checkpoint_file, *options]  # fmt: skip
    done = subprocess.run(
        [*map(str, args)], capture_output=True, text=True, check=False, env={**os.environ}
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, len(rows)) == (1, 13), done.stderr
    (failed,) = [row for row in rows if row["result"] != "colourized"]
    assert failed["source"].endswith("deadly.png")
    assert "what coloured it ended 3 times" in failed["reason"]


def test_films_are_coloured_and_what_was_there_has_hashes(
    tmp_path, album, monkeypatch, checkpoint_file
):
    for name, value in FEW_PROCESSES.items():
        monkeypatch.setenv(name, value)
    films = pytest.importorskip("support.films", reason="PyAV is not installed")
    films.make_film(album / "film.mp4", films.Film(frames=3))
    report, shared = tmp_path / "report.jsonl", ("-o", tmp_path / "out", "--checkpoint")
    subprocess.run(command(album / "photo0.png", *shared, checkpoint_file), check=True)
    args = command(album, *shared, checkpoint_file, "--ray", "local", "--report", report)
    done = subprocess.run(args, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = {row["output"]: row for row in map(json.loads, report.read_text().splitlines())}
    assert Counter(row["result"] for row in rows.values()) == {"colourized": 12, "skipped": 1}
    assert str(tmp_path / "out" / "film.mp4") in rows
    for output, row in rows.items():
        assert row["output_sha256"] == hashlib.sha256(Path(output).read_bytes()).hexdigest()


def test_a_cluster_that_is_not_there_is_bad_usage(tmp_path, album, checkpoint_file):
    args = command(album, "-o", tmp_path / "out", "--ray", "127.0.0.1:1",
                   "--checkpoint", checkpoint_file)  # fmt: skip
    done = subprocess.run(args, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--ray 127.0.0.1:1: no cluster was found" in done.stderr
    assert "hint: start one by `ray start --head`" in done.stderr
