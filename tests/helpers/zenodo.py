"""A server on loopback that speaks Zenodo's record API, and misbehaves as it is told to."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

Answer = Callable[["Handler", bytes], None]


class Zenodo:
    """Records by number: file names to bytes.

    faults: by path, answers to the first requests for it, one each; then it behaves. always: by
    path, the answer to every request. requests: what was asked for, in order, with the Range that
    came with it. changes: by file name, what a record states of it in place of the truth.
    """

    def __init__(self) -> None:
        self.records: dict[str, dict[str, bytes]] = {}
        self.faults: dict[str, list[Answer]] = defaultdict(list)
        self.always: dict[str, Answer] = {}
        self.changes: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.headers: list[dict[str, str]] = []
        self.released = threading.Event()  # what stalls ends when it is set
        self.ranges = True
        self.server = _Server(("127.0.0.1", 0), Handler)
        self.server.zenodo = self  # type: ignore[attr-defined]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def add(self, number: str, files: dict[str, bytes]) -> None:
        self.records[number] = files

    def described(self, number: str) -> dict[str, Any]:
        """A record as the API states it."""
        files = []
        for key, data in self.records[number].items():
            stated = {
                "key": key,
                "size": len(data),
                "checksum": f"md5:{hashlib.md5(data).hexdigest()}",
                "links": {"self": f"{self.address}{content(number, key)}"},
            }
            files.append(stated | self.changes.get(key, {}))
        return {"id": int(number), "files": files}

    def asked(self, path: str) -> list[str | None]:
        """The Ranges of all requests for a path."""
        return [span for asked, span in self.requests if asked == path]


def record(number: str) -> str:
    """Path of a record's description."""
    return f"/api/records/{number}"


def content(number: str, key: str) -> str:
    """Path of a file's bytes."""
    return f"/api/records/{number}/files/{key}/content"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        zenodo: Zenodo = self.server.zenodo  # type: ignore[attr-defined]
        zenodo.requests.append((self.path, self.headers.get("Range")))
        zenodo.headers.append(dict(self.headers))
        data = self._bytes(zenodo)
        try:
            if zenodo.faults[self.path]:
                zenodo.faults[self.path].pop(0)(self, data)
            elif self.path in zenodo.always:
                zenodo.always[self.path](self, data)
            else:
                self.give(data)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _bytes(self, zenodo: Zenodo) -> bytes:
        found = re.fullmatch(r"/api/records/(\d+)(?:/files/([^/]+)/content)?", self.path)
        if found is None or found.group(1) not in zenodo.records:
            return b""
        number, key = found.groups()
        if key is None:
            return json.dumps(zenodo.described(number)).encode()
        return zenodo.records[number].get(key, b"")

    def give(self, data: bytes, *, ranges: bool = True, kind: str = "") -> None:
        """Answer as it should be."""
        zenodo: Zenodo = self.server.zenodo  # type: ignore[attr-defined]
        if not data:
            self.status(404)
            return
        span = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(span.group(1)) if span and ranges and zenodo.ranges else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.send_header("Content-Type", kind or "application/octet-stream")
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        self.wfile.write(data[start:])

    def status(self, code: int, **headers: str) -> None:
        body = b"<html>no</html>"
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        pass  # clients that leave are part of the tests


# ---- ways to misbehave


def says(code: int, **headers: str) -> Answer:
    """A status in place of the data."""
    return lambda handler, _: handler.status(code, **headers)


def page(handler: Handler, _: bytes) -> None:
    """A web page, as if all were well."""
    handler.give(b"<html><body>Please log in</body></html>" * 40, ranges=False, kind="text/html")


def plain_page(handler: Handler, data: bytes) -> None:
    """A web page of exactly the right size that says it is data."""
    handler.give((b"<html>" + bytes(len(data)))[: len(data)], ranges=False)


def cut(count: int) -> Answer:
    """The first `count` bytes of what was asked for, then the end of the connection."""

    def answer(handler: Handler, data: bytes) -> None:
        span = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        start = int(span.group(1)) if span else 0
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(data) - start))
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        handler.end_headers()
        handler.wfile.write(data[start : start + count])
        handler.wfile.flush()
        handler.close_connection = True

    return answer


def stalls(count: int) -> Answer:
    """The first `count` bytes, then silence on an open connection."""

    def answer(handler: Handler, data: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:count])
        handler.wfile.flush()
        zenodo: Zenodo = handler.server.zenodo  # type: ignore[attr-defined]
        zenodo.released.wait(30)
        handler.close_connection = True

    return answer


def trickles(handler: Handler, data: bytes) -> None:
    """A byte now and then: never silent for long."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    zenodo: Zenodo = handler.server.zenodo  # type: ignore[attr-defined]
    for byte in data:
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()
        if zenodo.released.wait(0.02):
            break
    handler.close_connection = True


def silent(handler: Handler, _: bytes) -> None:
    """Nothing, not even a status."""
    handler.close_connection = True


def changed(handler: Handler, data: bytes) -> None:
    """One byte is another one."""
    handler.give(bytes([data[0] ^ 1]) + data[1:])


def longer(handler: Handler, data: bytes) -> None:
    """More than the record states, of no length given beforehand."""
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(data + bytes(1 << 20))
    handler.close_connection = True


def endless(handler: Handler, _: bytes) -> None:
    """No end, until nobody listens."""
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    began = time.monotonic()
    while time.monotonic() - began < 20:
        handler.wfile.write(b" " * (1 << 16))
    handler.close_connection = True


def from_the_start(handler: Handler, data: bytes) -> None:
    """Ranges are ignored."""
    handler.give(data, ranges=False)


def other_range(handler: Handler, data: bytes) -> None:
    """206, but not from where it was asked."""
    handler.send_response(206)
    handler.send_header("Content-Length", str(len(data) - 1))
    handler.send_header("Content-Range", f"bytes 1-{len(data) - 1}/{len(data)}")
    handler.end_headers()
    handler.wfile.write(data[1:])


def circles(handler: Handler, _: bytes) -> None:
    """A redirect to itself."""
    handler.status(302, Location=handler.path)


def elsewhere(address: str) -> Answer:
    """A redirect."""
    return lambda handler, _: handler.status(302, Location=address)


@contextlib.contextmanager
def serving() -> Iterator[Zenodo]:
    """A server, for as long as the block lasts."""
    zenodo = Zenodo()
    thread = threading.Thread(target=zenodo.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield zenodo
    finally:
        zenodo.released.set()
        zenodo.server.shutdown()
        zenodo.server.server_close()
        thread.join()
