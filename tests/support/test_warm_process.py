"""warm_process.py: a program finds what it would find in a process that was started by itself."""

import json
import signal
import sys
from pathlib import Path

import pytest
from support.warm_process import run, start

SHOW = """
import json, os, signal, sys, tempfile
known = [name for name in sys.modules if name.startswith(("colourizer", "train"))]
usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
print(json.dumps([sys.argv, os.getcwd(), os.environ["MINE"], tempfile.gettempdir(),
                  sys.stdin.read(), __name__, known, usual]))
print("last words", file=sys.stderr)
sys.exit(7)
"""


@pytest.mark.parametrize("is_script", [True, False])
def test_a_program_has_its_own_arguments_streams_environment_and_exit_code(tmp_path, is_script):
    (tmp_path / "show.py").write_text(SHOW)
    program = ["show.py"] if is_script else ["-c", SHOW]
    environment = {"MINE": "yes", "TMPDIR": str(tmp_path)}
    done = run([*program, Path("a b"), 3], "hello", cwd=tmp_path, env=environment)
    named = [program[0], "a b", "3"]
    place = str(tmp_path)
    assert json.loads(done.stdout) == [named, place, "yes", place, "hello", "__main__", [], True]
    assert (done.returncode, done.stderr) == (7, "last words\n")


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
def test_a_program_is_ended_by_signals_as_any_other():
    for signum, traceback in ((signal.SIGINT, True), (signal.SIGTERM, False)):
        process = start(["-c", "import time; print('begun', flush=True); time.sleep(60)"])
        assert process.stdout.readline() == "begun\n"
        assert process.poll() is None
        process.send_signal(signum)
        out, err = process.communicate()
        assert (process.returncode, out, "KeyboardInterrupt" in err) == (-signum, "", traceback)
