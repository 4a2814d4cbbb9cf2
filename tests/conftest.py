"""Small photographs and networks that several tests use."""

import os
import shutil
from collections.abc import Callable, Iterator
from copy import copy
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

# Each of pytest-xdist's workers gets a core for itself and its children, so a thread of torch's: of
# two workers' threads on the same cores most would wait. Torch reads this when it is imported.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
if WORKER and hasattr(os, "sched_setaffinity"):  # Linux only
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[int(WORKER.removeprefix("gw")) % len(cores)]})
THREADS = int(os.environ.setdefault("OMP_NUM_THREADS", "1" if WORKER else "2"))

import torch  # noqa: E402
from support.scenes import scene  # noqa: E402

torch.set_num_threads(THREADS)

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
BROWSER_ARGUMENTS += [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_disks() -> Iterator[None]:
    """Files need not outlive a power cut here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda file: None)
        yield


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """A folder of twelve colourful photographs, two of them in a subfolder."""
    folder = tmp_path / "album"
    (folder / "sub").mkdir(parents=True)
    for i in range(12):
        scene(i).save(folder / ("sub" if i > 9 else "") / f"photo{i}.png")
    return folder


@pytest.fixture(scope="session")
def checkpoint_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of an untrained network with random weights in its head."""
    from colourizer.network.checkpoint import model_content, save_checkpoint
    from Model_CNN import Model_CNN

    torch.manual_seed(0)
    model = Model_CNN()
    torch.nn.init.normal_(model.head.weight, std=0.3)
    path = tmp_path_factory.mktemp("checkpoint") / "small.pt"
    save_checkpoint(path, model_content(model, half=True))
    return path


@pytest.fixture(scope="session")
def load_small(checkpoint_file) -> Callable[[Path, str], Any]:
    """Return what loads the small checkpoint for colourize.py: once for each device."""
    from colourizer.inference.colourizer import Colourizer

    load = cache(Colourizer.load)
    return lambda _, device: copy(load(checkpoint_file, device))


@pytest.fixture
def run(checkpoint_file, load_small, capsys, monkeypatch):
    """Call colourize.py with the small checkpoint; return (exit code, stdout lines, stderr)."""
    import colourize

    monkeypatch.setattr(colourize, "Colourizer", SimpleNamespace(load=load_small))

    def call(*args):
        code = colourize.main([*map(str, args), "--checkpoint", str(checkpoint_file)])
        out, err = capsys.readouterr()
        return code, out.splitlines(), err

    return call


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The system's Chromium."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not program:
        pytest.skip("there is no Chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=BROWSER_ARGUMENTS)
        yield browser
        browser.close()
