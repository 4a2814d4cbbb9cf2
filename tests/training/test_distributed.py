"""distributed.py and train.py: processes that train together do what one does alone."""

import json
import os
import socket
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from support.scenes import scene

import train
from colourizer.network import device
from colourizer.runtime.process import rank_and_world_size
from colourizer.training.distributed import SyncedBatchNorm, join_process_group, sync_batch_norm
from colourizer.training.shards import ShardsError
from colourizer.training.validation import Validation

STEPS = 20


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def work(rank: int, count: int, port: int, folder: Path, task: str) -> None:
    """Run a task as one of torchrun's processes."""
    torch.set_num_threads(1)
    os.environ |= {
        "TORCHELASTIC_RUN_ID": "test", "RANK": str(rank), "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip
    with (folder / f"printed_{rank}").open("w") as printed:
        os.dup2(printed.fileno(), 1)
        os.dup2(printed.fileno(), 2)
        TASKS[task](folder)


def together(folder: Path, task: str) -> None:
    mp.spawn(work, (2, free_port(), folder, task), nprocs=2)


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


def test_batch_norm_over_processes_is_that_of_the_whole_batch(tmp_path):
    torch.manual_seed(0)
    features, upstream = 3 + 2 * torch.randn(8, 3, 4, 6), torch.randn(8, 3, 4, 6)
    torch.save((features, upstream), tmp_path / "batch.pt")
    together(tmp_path, "norm")
    parts = [torch.load(tmp_path / f"normal_{rank}.pt") for rank in (0, 1)]
    norm = torch.nn.Sequential(torch.nn.BatchNorm2d(3))
    norm[0].weight.data = torch.tensor([1.0, 2.0, -0.5])
    whole = features.requires_grad_()
    out = norm(whole)
    out.backward(upstream)
    assert torch.allclose(torch.cat([part[0] for part in parts]), out, atol=1e-5)
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
        patch.setattr(train, "validate", lambda *_: seen)
        patch.setattr("colourizer.training.report.draw_progress", lambda *_: None)
        patch.setattr(train, "save_last", lambda *_: None)
        assert train.main([str(folder / "album"), *options]) == 0


def losses(run: Path) -> list[float]:
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [row["loss"] for row in log if row["epoch"] > 0]


def test_two_processes_learn_what_one_learns(tmp_path):
    for where in ("alone", "together"):
        (tmp_path / where / "album").mkdir(parents=True)
        for n in range(8):
            scene(n).save(tmp_path / where / "album" / f"photo{n}.png")
    train_together(tmp_path / "alone")
    together(tmp_path / "together", "train")
    alone, both = (losses(tmp_path / where / "run") for where in ("alone", "together"))
    assert len(alone) == len(both) == STEPS
    assert min(alone) < 0.9 * alone[0]
    assert max(abs(a - b) for a, b in zip(alone, both, strict=True)) < 1e-4
    printed = [(tmp_path / "together" / f"printed_{rank}").read_text() for rank in (0, 1)]
    assert "photographs to train on" in printed[0]
    assert "done: " in printed[0]
    assert printed[1] == ""


def fail_together(folder: Path) -> None:
    """Start from a broken checkpoint."""
    options = ["--start-from", str(folder / "broken.pt"), "--device", "cpu", "--no-cache"]
    assert train.main([str(folder / "album"), *options, "-o", str(folder / "run")]) == 2


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
        code = train.main([str(folder / "album"), *options, "-o", str(folder / "run")])
    assert code == (1 if rank == 0 else 2)


@pytest.mark.parametrize(
    ("task", "lines"),
    [("fail", (["error: ", "hint: "], [])), ("lose", (["note: another process has ended"], []))],
)
def test_what_fails_is_said_once_and_without_a_traceback(tmp_path, task, lines):
    (tmp_path / "album").mkdir()
    for n in range(8):
        scene(n).save(tmp_path / "album" / f"photo{n}.png")
    (tmp_path / "broken.pt").write_bytes(b"no checkpoint")
    together(tmp_path, task)
    for rank, expected in enumerate(lines):
        printed = (tmp_path / f"printed_{rank}").read_text().splitlines()
        said = [line for line in printed if "photographs to train on" not in line]
        said = [line for line in said if "ProcessGroup" not in line and "socket" not in line]
        assert [line[: len(start)] for line, start in zip(said, expected, strict=True)] == expected


TASKS = {"norm": norm_together, "train": train_together, "fail": fail_together, "lose": lose_one}


def test_without_torchrun_a_cluster_s_variables_mean_nothing(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "3")
    assert rank_and_world_size() == (0, 1)
