"""distributed.py and train.py: processes that train together do what one does alone."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from support.scenes import ROOT, scene
from support.warm_process import start

import train
from colourizer.network import device
from colourizer.runtime.process import rank_and_world_size
from colourizer.training import distributed
from colourizer.training.distributed import (
    ProcessGroup,
    SyncedBatchNorm,
    join_process_group,
    sync_batch_norm,
)
from colourizer.training.launcher import run_processes
from colourizer.training.options import parse_args
from colourizer.training.shards import ShardsError
from colourizer.training.validation import Validation

STEPS = 8


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


WORK = """
import sys
from pathlib import Path
sys.path.append("tests")
from training.test_distributed import work
rank, folder, *ports = sys.argv[1:]
work(int(rank), 2, ports, Path(folder))
"""


def work(rank: int, count: int, ports: list[str], folder: Path) -> None:
    """Do each of TASKS, in its folder, as one of torchrun's processes."""
    torch.set_num_threads(1)
    os.environ |= {
        "TORCHELASTIC_RUN_ID": "test", "RANK": str(rank), "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1",
    }  # fmt: skip
    for port, (name, task) in zip(ports, TASKS.items(), strict=True):
        os.environ["MASTER_PORT"] = port
        with (folder / name / f"printed_{rank}").open("w") as printed:
            os.dup2(printed.fileno(), 1)
            os.dup2(printed.fileno(), 2)
            task(folder / name)


def test_processes_that_train_together_do_what_one_does_alone(tmp_path):
    """Two processes do all tasks, since it takes seconds to start them."""
    for folder in ("norm", "train", "lose", "alone"):
        (tmp_path / folder / "album").mkdir(parents=True)
        for n in range(8):
            scene(n).save(tmp_path / folder / "album" / f"photo{n}.png")
    torch.manual_seed(0)
    features, upstream = 3 + 2 * torch.randn(8, 3, 4, 6), torch.randn(8, 3, 4, 6)
    torch.save((features, upstream), tmp_path / "norm" / "batch.pt")
    train_together(tmp_path / "alone")
    ports = [free_port() for _ in TASKS]
    processes = [start(["-c", WORK, rank, tmp_path, *ports], cwd=ROOT) for rank in (0, 1)]
    ends = [(*process.communicate(), process.returncode) for process in processes]
    printed = [path.read_text() for path in tmp_path.glob("*/printed_*")]
    assert ends == [("", "", 0)] * 2, printed
    batch_norm_is_that_of_the_whole_batch(tmp_path / "norm", features, upstream)
    two_processes_learn_what_one_learns(tmp_path / "alone", tmp_path / "train")
    an_error_of_one_process_is_printed_and_ends_the_others(tmp_path / "lose")


def norm_together(folder: Path) -> None:
    """Normalize a part of a batch; the first process gets more of it than the second."""
    with join_process_group(torch.device("cpu")) as group:
        features, upstream = torch.load(folder / "batch.pt")
        part = slice(0, 5) if group.rank == 0 else slice(5, None)
        norm = torch.nn.Sequential(torch.nn.BatchNorm2d(3))
        norm[0].weight.data = torch.tensor([1.0, 2.0, -0.5])
        sync_batch_norm(norm, group.device)
        assert isinstance(norm[0], SyncedBatchNorm)
        mine = features[part].clone().requires_grad_()
        out = norm(mine)
        out.backward(upstream[part])
        sums = group.all_reduce_sum(1, group.rank), group.all_reduce_max(group.rank, -group.rank)
        assert sums == ([2, 1], [1, 0])
        what = (out.detach(), mine.grad, norm.state_dict())
        torch.save(what, folder / f"normal_{group.rank}.pt")


def batch_norm_is_that_of_the_whole_batch(
    folder: Path, features: torch.Tensor, upstream: torch.Tensor
) -> None:
    parts = [torch.load(folder / f"normal_{rank}.pt") for rank in (0, 1)]
    norm = torch.nn.Sequential(torch.nn.BatchNorm2d(3))
    norm[0].weight.data = torch.tensor([1.0, 2.0, -0.5])
    whole = features.requires_grad_()
    out = norm(whole)
    out.backward(upstream)
    assert torch.allclose(torch.cat([part[0] for part in parts]), out, atol=1e-5)
    assert whole.grad is not None
    assert torch.allclose(torch.cat([part[1] for part in parts]), whole.grad, atol=1e-5)
    for name, value in norm.state_dict().items():
        assert all(torch.allclose(part[2][name].float(), value.float()) for part in parts), name


def train_together(folder: Path) -> None:
    """Train for STEPS steps in fp32, each an epoch of its own, so that the log has its loss."""
    # Adam turns rounding into steps: from random weights, or with batch normalization over few
    # pixels, even one process with two threads parts from one with one thread. So the decoder only.
    options = ["--size", "64", "--batch-size", "5", "--device", "cpu", "--no-cache"]
    options += ["--freeze-encoder", "7", "--no-freeze-norm"]
    options += ["--epochs", str(STEPS), "-o", str(folder / "run")]
    pictures = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    names = ("ab_error", "grey_ab_error", "rgb_psnr", "grey_rgb_psnr", "colourfulness_ratio")
    seen = Validation(dict.fromkeys(names, 1.0), pictures, pictures, pictures)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device, "is_fast_in_bf16", lambda _: False)
        patch.setattr(train, "REPORT_STEPS", 1)
        # These take longer than the steps.
        patch.setattr(train, "network_to_judge", lambda run: run.state.ema)
        patch.setattr(train, "validate", lambda *_: seen)
        patch.setattr("colourizer.training.report.draw_progress", lambda *_: None)
        patch.setattr(train, "save_last", lambda *_: None)
        assert train.main([str(folder / "album"), *options]) == 0


def losses(run: Path) -> list[float]:
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [row["loss"] for row in log if row["epoch"] > 0]


def two_processes_learn_what_one_learns(one: Path, two: Path) -> None:
    alone, both = losses(one / "run"), losses(two / "run")
    assert len(alone) == len(both) == STEPS
    assert min(alone) < 0.9 * alone[0]
    assert max(abs(a - b) for a, b in zip(alone, both, strict=True)) < 1e-4
    printed = [(two / f"printed_{rank}").read_text() for rank in (0, 1)]
    assert "photographs to train on" in printed[0]
    assert "done: " in printed[0]
    assert printed[1] == ""


def lose_one(folder: Path) -> None:
    """Let the second process fail where the first does not."""
    rank, read = int(os.environ["RANK"]), train.read_data
    options = ["--model", "classic", "--size", "32", "--device", "cpu", "--no-cache"]

    def read_or_fail(*args):
        data = read(*args)
        if rank == 1:
            raise ShardsError("gone")
        return data

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "read_data", read_or_fail)
        patch.setattr(distributed, "SAME_ERROR_SECONDS", 0.1)
        code = train.main([str(folder / "album"), *options, "-o", str(folder / "run")])
    assert code == (1 if rank == 0 else 2)


def an_error_of_one_process_is_printed_and_ends_the_others(folder: Path) -> None:
    for rank, expected in enumerate((["note: another process has ended"], ["error: gone"])):
        printed = (folder / f"printed_{rank}").read_text().splitlines()
        said = [line for line in printed if "photographs to train on" not in line]
        said = [line for line in said if "ProcessGroup" not in line and "socket" not in line]
        assert [line[: len(start)] for line, start in zip(said, expected, strict=True)] == expected


TASKS = {"norm": norm_together, "train": train_together, "lose": lose_one}


@pytest.fixture
def handlers_kept(monkeypatch) -> Iterator[None]:
    """Undo what the launcher, made for a process of its own, does to this one."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    names = {"SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"} & {each.name for each in signal.Signals}
    before = {signal.Signals[name]: signal.getsignal(signal.Signals[name]) for name in names}
    yield
    logging.disable(logging.NOTSET)
    for each, handler in before.items():
        signal.signal(each, handler)


def start_from_broken(folder: Path) -> list[str]:
    """Return train.py's arguments for a broken checkpoint."""
    (folder / "broken.pt").write_bytes(b"no checkpoint")
    start = ["--start-from", str(folder / "broken.pt"), "--device", "cpu"]
    return [str(folder), *start, "-o", str(folder / "run")]


def test_an_error_of_all_processes_is_printed_once_and_nothing_else(tmp_path, capfd, handlers_kept):
    assert run_processes(2, str(ROOT / "train.py"), start_from_broken(tmp_path)) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    assert [line.split(": ")[0] for line in printed.err.splitlines()] == ["error", "hint"]


def test_as_many_processes_as_are_asked_for_get_the_same_command_line(monkeypatch):
    monkeypatch.setattr(train, "run_processes", lambda *given: given)
    given = ["album", "--processes", "3"]
    assert train.main(given) == (3, train.__file__, given)


def test_a_batch_too_small_for_a_crop_in_each_process_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "0")
    arguments = [str(tmp_path), "--batch-size", "3", "-o", str(tmp_path / "run")]
    group = ProcessGroup(torch.device("cpu"), rank=0, world_size=4)
    assert train.run_in_group(parse_args(arguments), group) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error == "error: --batch-size 3: is divided among 4 processes"
    assert hint == "hint: give --batch-size 4 or more"


@pytest.mark.long
def test_the_report_of_torchrun_ends_with_the_error(tmp_path):
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "train.py"]
    command = [*launcher, *start_from_broken(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert [line.split(": ")[0].split()[0] for line in lines[-3:-1]] == ["traceback", "hint"]
    assert "traceback : error: " in lines[-3]
    assert sum("exitcode  :" in line for line in lines) == 1


def test_a_process_that_a_signal_has_ended_is_named(tmp_path, capsys, handlers_kept):
    script = tmp_path / "script.py"
    script.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    assert run_processes(1, str(script), []) == 1
    assert capsys.readouterr().err == "error: process 0 was ended by SIGKILL\n"
    script.write_text("import os, sys\nsys.exit(int(os.environ['WORLD_SIZE']) - 1)\n")
    assert run_processes(1, str(script), []) == 0


def test_without_torchrun_a_cluster_s_variables_mean_nothing(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "3")
    assert rank_and_world_size() == (0, 1)
