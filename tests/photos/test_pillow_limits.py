"""pillow_limits.py: the process that reads photographs keeps its own limits and warnings."""

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin
from support import warm_process
from support.scenes import scene

from colourizer.photos.pillow_limits import MAX_PIXELS, pillow_limits
from colourizer.photos.read import read_photo

ROOT = Path(__file__).parents[2]
HOST = """
import sys, warnings
from pathlib import Path
import numpy, simplejpeg, torch  # which have filters of their own
from PIL import Image, PngImagePlugin

def state():
    return Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK, list(warnings.filters)

before = state()
from colourizer import Colourizer
from colourizer.photos.read import read_photo, read_rgb
assert state() == before, "changed by importing"
colourizer = Colourizer.load()
photo = read_photo(Path(sys.argv[1]))
read_rgb(Path(sys.argv[1]))
colourizer.colourize(photo.pixels)
assert state() == before, "changed by working"
"""


def limits() -> tuple:
    return Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK, list(warnings.filters)


def test_a_host_process_keeps_its_limits_and_warnings(tmp_path):
    scene(0).convert("L").save(tmp_path / "a.png")
    done = warm_process.run(["-c", HOST, tmp_path / "a.png"], cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")


def test_limits_hold_until_the_last_of_several_threads_leaves():
    before = limits()
    entered, leave = threading.Barrier(2), threading.Event()

    def stay() -> None:
        with pillow_limits():
            entered.wait()
            leave.wait()

    thread = threading.Thread(target=stay)
    thread.start()
    entered.wait()
    with pillow_limits():
        inside = limits()
    assert inside[:2] == (MAX_PIXELS // 2, PngImagePlugin.MAX_TEXT_MEMORY)
    assert limits() == inside != before
    leave.set()
    thread.join()
    assert limits() == before


def test_many_threads_that_read_at_once_leave_no_trace(tmp_path):
    (tmp_path / "none.jpg").write_bytes(b"no photograph")
    scene(0).save(tmp_path / "a.png")
    before = limits()

    def read(n: int) -> None:
        if n % 3:
            read_photo(tmp_path / "a.png")
        else:
            with pytest.raises(Exception, match="not an image"):
                read_photo(tmp_path / "none.jpg")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read, range(200)))
    assert limits() == before


def test_a_warning_of_pillows_is_ignored_where_warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = limits()
        with pillow_limits():
            warnings.warn_explicit("odd EXIF", UserWarning, "Image.py", 1, "PIL.Image")
            with pytest.raises(UserWarning):
                warnings.warn_explicit("another's", UserWarning, "host.py", 1, "host")
        assert limits() == before


def test_filters_that_the_host_saves_meanwhile_come_back_without_ours():
    before = limits()
    with pillow_limits():
        host = warnings.catch_warnings()
        host.__enter__()
    host.__exit__(None, None, None)
    assert limits() == before


def test_a_filter_of_the_hosts_that_equals_ours_stays():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        before = limits()
        with pillow_limits():
            pass
        assert limits() == before
