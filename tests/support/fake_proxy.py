"""What the stand-ins for the internet share: an HTTP proxy on 127.0.0.1 that answers by itself.

Plain HTTP comes to it as to any proxy; HTTPS with CONNECT, after which it speaks TLS with a
certificate that the client is told to trust.
"""

import socketserver
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DRIP_SECONDS = 0.05  # between the bytes of a slow body


def make_certificate(folder: Path, *hosts: str) -> tuple[Path, Path]:
    """Write a certificate for hosts, and its key; return their paths."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    names = ",".join(f"DNS:{host}" for host in hosts)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", f"/CN={hosts[0]}",
         "-addext", f"subjectAltName={names}", "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    host = ""  # after CONNECT
    server: "FakeProxy"

    def log_message(self, *args):
        pass

    @property
    def link(self) -> str:
        """What is asked for, whole."""
        return f"https://{self.host}{self.path}" if self.host else self.path

    def do_CONNECT(self):
        """Speak TLS from here on, and answer one request in it."""
        self.send_response(200)
        self.end_headers()
        self.host = self.path.rpartition(":")[0]
        tls = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.connection = self.request = tls
        self.rfile, self.wfile = tls.makefile("rb"), socketserver._SocketWriter(tls)
        self.handle_one_request()
        self.close_connection = True

    def do_GET(self):
        self.respond()

    def respond(self):
        """Answer the request, with `answer`."""
        raise NotImplementedError

    def start(self, code: int, length: int, headers=()):
        """Send what comes before a body."""
        self.send_response(code)
        for name, value in {"Content-Length": str(length), **dict(headers)}.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    def answer(self, code: int, body: bytes, headers=(), slowly: bool = False):
        self.start(code, len(body), headers)
        for i in range(len(body) if slowly else 0):
            self.wfile.write(body[i : i + 1])
            time.sleep(DRIP_SECONDS)
        if not slowly:
            self.wfile.write(body)


class FakeProxy(ThreadingHTTPServer):
    """handler: answers; it finds `web`, what there is to answer, in its server.

    web has an event `closing`, which is set when it is over.
    """

    daemon_threads = True

    def __init__(self, web, handler: type[Handler], certificate: Path, key: Path):
        super().__init__(("127.0.0.1", 0), handler)
        self.web = web
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate, key)

    def handle_error(self, *args):
        """Clients that hang up are part of the tests."""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=[0.01], daemon=True).start()
        return self

    def __exit__(self, *args):
        self.web.closing.set()
        self.shutdown()
        self.server_close()
