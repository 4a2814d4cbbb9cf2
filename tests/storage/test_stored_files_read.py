"""files.py: files whose size a storage does not say, and whose fault an error is."""

import errno
import hashlib
import io
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from unittest.mock import Mock

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from colourizer.inference.reruns import find_difference
from colourizer.record.row import DEFAULT, Row
from colourizer.record.row_index import Recorded
from colourizer.record.verify import AS_RECORDED, check_output
from colourizer.runtime.cli import list_hints
from colourizer.runtime.temporary_folder import ROOM_HINT
from colourizer.storage import files
from colourizer.storage.address import parse_location
from colourizer.storage.connection import FullDiskError, StorageError
from colourizer.training.stored_shards import fetch_shards

CONTENT = b"shard" * 100


class ChunkedHandler(BaseHTTPRequestHandler):
    """Every file is CONTENT, sent in chunks, so that nobody is told its size before."""

    protocol_version, gets = "HTTP/1.1", 0

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        """Send the headers."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def do_GET(self) -> None:
        """Send the content."""
        type(self).gets += 1
        self.do_HEAD()
        self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(CONTENT), CONTENT))


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), ChunkedHandler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_file_of_unknown_size_is_read_and_is_not_another_one(server, tmp_path):
    url = f"http://127.0.0.1:{server.server_port}/part-0.tar"
    address = parse_location(url)
    assert files.stat_file(address) == (0, 0)
    assert files.fetch_copy(address, tmp_path).read_bytes() == CONTENT
    (shard,) = fetch_shards(url, tmp_path).iterdir()
    assert shard.read_bytes() == CONTENT
    gets = ChunkedHandler.gets
    fetch_shards(url, tmp_path)
    assert ChunkedHandler.gets == gets + 1  # to ask for the size, not for the content again
    row = Row("", url, "", output_sha256=hashlib.sha256(CONTENT).hexdigest(), output_bytes=500)
    assert check_output(row) == (AS_RECORDED, "")
    recorded = Mock(**{"find.return_value": Recorded("colourized", DEFAULT, 500)})
    assert find_difference(address, shard, DEFAULT, recorded) == ""


@pytest.fixture
def large(monkeypatch):
    """A file in a storage that counts as large."""
    fsspec.filesystem("memory").pipe_file("/a.tar", CONTENT)
    monkeypatch.setattr(files, "LARGE", 10)
    return parse_location("memory://a.tar")


def test_a_fault_of_who_reads_a_large_file_is_none_of_its_storage(large):
    with pytest.raises(OSError, match="No space left"), files.open_file(large, 500) as file:
        assert file.read() == CONTENT
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is full")
def test_a_copy_for_which_there_is_no_room_names_the_disk_and_not_its_storage(large, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.tar").symlink_to("/dev/full")
    with pytest.raises(FullDiskError, match=f"^the disk of {tmp_path} is full\\n") as caught:
        files.fetch_copy(large, tmp_path / "folder")
    assert list_hints(caught.value) == [ROOM_HINT]


def test_a_large_file_that_can_no_longer_be_read_is_a_fault_of_its_storage(large, monkeypatch):
    class Lost(io.BytesIO):
        def read(self, *_: object) -> bytes:
            raise OSError("Socket is closed")

    monkeypatch.setattr(MemoryFileSystem, "open", lambda *_, **__: Lost())
    with pytest.raises(StorageError, match="closed"), files.open_file(large, 500) as file:
        file.read()
