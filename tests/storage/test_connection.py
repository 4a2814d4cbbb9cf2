"""connection.py: whose connections threads share, and how a lost one comes back."""

import threading
from typing import ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from colourizer.storage import connection
from colourizer.storage.address import parse_location
from colourizer.storage.files import read_bytes


class OneThread(MemoryFileSystem):
    """A storage whose connection only one thread may use, as that of SFTP."""

    protocol = "onethread"
    opened: ClassVar[list["OneThread"]] = []

    def __init__(self, host: str = "", username: str = "", **options: object) -> None:
        super().__init__(**options)
        self.thread, self.is_lost, self.username = threading.get_ident(), False, username
        self.opened.append(self)

    @staticmethod
    def _get_kwargs_from_urls(url: str) -> dict[str, str]:
        host = url.partition("://")[2].partition("/")[0]
        return {"host": host, "username": host.rpartition("@")[0]}

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + path.partition("://")[2].partition("/")[2] if "://" in path else path

    def cat_file(self, path, start=None, end=None, **_: object):
        """Read a file."""
        assert self.thread == threading.get_ident()
        if self.is_lost:
            raise OSError("Socket is closed")
        return super().cat_file(path, start, end)


@pytest.fixture
def place():
    fsspec.register_implementation("onethread", OneThread, clobber=True)
    fsspec.filesystem("memory").pipe_file("/a.png", b"photograph")
    OneThread.opened.clear()
    connection._open.cache_clear()
    yield parse_location("onethread://anna:secret@host/a.png")
    connection._open.cache_clear()
    connection._logins.clear()


def test_each_thread_has_a_connection_of_its_own_unless_they_may_share_it(place):
    threads = [threading.Thread(target=read_bytes, args=(place,)) for _ in range(3)]
    read = [read_bytes(place), read_bytes(place)]
    assert (read, len(OneThread.opened)) == ([b"photograph"] * 2, 1)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 2 <= len(OneThread.opened) <= 4  # numbers of threads that have ended are given again


def test_a_lost_connection_fails_one_file_and_the_next_one_has_a_new_one(place):
    read_bytes(place)
    OneThread.opened[0].is_lost = True
    with pytest.raises(connection.StorageError, match="Socket is closed"):
        read_bytes(place)
    assert read_bytes(place) == b"photograph"


def test_a_login_is_known_for_addresses_of_the_same_host_that_have_none(place):
    read_bytes(place)
    read_bytes(parse_location(str(place)))
    assert {storage.username for storage in OneThread.opened} == {"anna:secret"}
