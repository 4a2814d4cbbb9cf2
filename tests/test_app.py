"""app.py: the address it serves, its errors, how it stops."""

import os
import re
import signal
import socket
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from urllib.error import HTTPError
from urllib.parse import urlsplit

import pytest
from support import warm_process
from support.scenes import ROOT

from colourizer.app.__main__ import main

pytest.importorskip("uvicorn")

from colourizer.app import server


def start(*options: object) -> Any:
    return warm_process.start([ROOT / "app.py", "--device", "cpu", *options])


def run_app(*options: object) -> int:
    """Run app.py in this process; return its exit code."""
    return main(["--device", "cpu", *map(str, options)])


@pytest.fixture(scope="module")
def running(checkpoint_file) -> Iterator[Any]:
    process = start("--port", 0, "--checkpoint", checkpoint_file)
    assert process.stdout
    yield process, process.stdout.readline().strip()
    process.kill()
    process.communicate()


def test_it_prints_its_address_and_serves_the_page_there_and_nowhere_else(running):
    _, address = running
    assert address.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(address) as answer:
        assert b"<title>Image Colourizer</title>" in answer.read()
    port = urlsplit(address).port
    if sys.platform == "linux":
        lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
        local = {line.split()[1] for line in lines if line.split()[3] == "0A"}  # listening
        assert {name for name in local if name.endswith(f":{port:04X}")} == {f"0100007F:{port:04X}"}


def test_without_the_token_of_its_address_nobody_is_answered(running):
    _, address = running
    with pytest.raises(HTTPError) as refused:
        urllib.request.urlopen(address.split("?")[0])
    assert refused.value.code == 403
    assert "printed in its terminal" in refused.value.read().decode()


def test_every_start_has_a_token_of_its_own(checkpoint_file, monkeypatch, capsys):
    monkeypatch.setattr(server, "make_server", Mock())  # one that ends at once
    monkeypatch.setattr("torch.set_num_threads", Mock())
    for _ in range(2):
        assert run_app("--port", 0, "--checkpoint", checkpoint_file) == 0
    tokens = [urlsplit(line).query for line in capsys.readouterr().out.splitlines()]
    assert all(re.fullmatch(r"token=[\w-]{43}", token) for token in tokens)
    assert tokens[0] != tokens[1]


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_it_and_no_file_is_left(checkpoint_file, tmp_path, signum, code):
    os.environ["TMPDIR"] = str(tmp_path)
    try:
        process = start("--port", 0, "--checkpoint", checkpoint_file)
    finally:
        del os.environ["TMPDIR"]
    address = process.stdout.readline().strip()
    body = (ROOT / "data" / "samples" / "coffee.jpg").read_bytes()
    place = address.replace("/?", "/api/photos?")
    urllib.request.urlopen(urllib.request.Request(place, body)).close()
    process.send_signal(signum)
    _, err = process.communicate(timeout=10)
    assert process.returncode == code
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_named(checkpoint_file, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert run_app("--port", port, "--checkpoint", checkpoint_file) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: port {port}: ")
    assert "hint: --port" in err


def test_bad_usage_is_told_in_a_line(tmp_path, capsys):
    (tmp_path / "no.pt").write_text("hello")
    assert run_app("--port", 0, "--checkpoint", tmp_path / "no.pt") == 2
    assert capsys.readouterr().err.startswith("error: ")
    with pytest.raises(SystemExit) as ended:
        run_app("--port", 70000)
    assert ended.value.code == 2
    assert "between 0 and 65535" in capsys.readouterr().err
