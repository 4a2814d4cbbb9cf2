"""A static host for the tests: sends the files of a folder, and counts the bytes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PATIENCE = 120  # seconds: the page's network is loaded, and other programs may need the cores


@dataclass
class Site:
    """An address, and how many bytes were sent from it, by path."""

    address: str = ""
    sent: dict[str, int] = field(default_factory=dict)


class _Handler(SimpleHTTPRequestHandler):
    """Sends files, and adds up how many bytes of each."""

    def __init__(self, *args, site: Site, **kwargs) -> None:
        self.site = site
        super().__init__(*args, **kwargs)

    def copyfile(self, source, outputfile) -> None:
        content = source.read()
        self.site.sent[self.path] = self.site.sent.get(self.path, 0) + len(content)
        outputfile.write(content)

    def log_message(self, *args) -> None:
        pass


@contextmanager
def serve_folder(folder: Path) -> Iterator[Site]:
    """Serve a folder's files on a free port within the context."""
    site = Site()
    handler = partial(_Handler, directory=str(folder), site=site)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    site.address = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield site
    server.shutdown()
    server.server_close()
