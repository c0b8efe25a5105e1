"""Zenodo over HTTP: requests that are bounded, and tried again where that can help."""

from __future__ import annotations

import contextlib
import email.utils
import http
import json
import time
from collections.abc import Callable, Iterator
from typing import TypeVar
from urllib.parse import urlsplit

import requests
import urllib3

from earmark.benchmark.io.progress import format_duration
from earmark.benchmark.paths import zenodo_address
from earmark.benchmark.zenodo.record import FetchError, Record, parse_record

CONNECT_S, READ_S = 10.0, 30.0  # silence that is borne
TRIES = 6
WAITS_S = (2.0, 5.0, 15.0, 45.0, 120.0)  # before the second try, the third, ...
_LONGEST_WAIT_S = 600.0
_CHUNK = 1 << 16
_SLOWEST = 256  # bytes a second; slower is as good as silent
_LONGEST_RECORD = 32 << 20  # bytes of a record's description
_PROGRESS = 1 << 20  # bytes after which a broken connection is a new one, not the same again
_REDIRECTS = 10
_FINAL = {
    401: "is not open to everybody",
    403: "is not open to everybody, or this machine is refused",
    404: "does not exist",
    410: "was withdrawn",
}
T = TypeVar("T")


class UnreachableError(FetchError):
    """The server cannot be reached, so nothing else of it can be fetched either."""


class PassingError(FetchError):
    """What may be over at the next try.

    after_s: seconds that the server asks to wait. unreachable: there was no connection at all.
    """

    def __init__(
        self, message: str, after_s: float | None = None, *, unreachable: bool = False
    ) -> None:
        super().__init__(message)
        self.after_s, self.unreachable = after_s, unreachable


class _Session(requests.Session):
    """A session that sends nobody's password: none from ~/.netrc, not after a redirect either."""

    def __init__(self) -> None:
        super().__init__()
        self.auth = _without_credentials
        self.max_redirects = _REDIRECTS
        # Zenodo slows down clients that do not say who they are
        self.headers["User-Agent"] = "earmark"
        self.headers["Accept-Encoding"] = "identity"  # sizes and ranges are those of the file

    def rebuild_auth(
        self, prepared_request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        prepared_request.headers.pop("Authorization", None)


def _without_credentials(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


class Server:
    """One place that records are fetched from; remembers whether it answers.

    address: `https://zenodo.org` unless $EARMARK_ZENODO says otherwise. say: is given a line for
    every try that is to be repeated. Raises FetchError for what is no address.
    """

    def __init__(
        self, address: str | None = None, say: Callable[[str], None] = lambda line: None
    ) -> None:
        self.address = (address or zenodo_address()).rstrip("/")
        if not self.address.startswith(("https://", "http://")):
            raise FetchError(
                f"$EARMARK_ZENODO: {self.address} is no address; write https://zenodo.org"
            )
        self.host = urlsplit(self.address).netloc
        self.say = say
        self.session = _Session()
        self.answered = False
        self.tries = TRIES

    def record(self, number: str) -> Record:
        """What a record states. Raises FetchError."""
        name = f"record {number}"

        def ask() -> bytes:
            with self.open(f"{self.address}/api/records/{number}", name) as response:
                if _is_page(response):
                    raise PassingError(f"{name}: {self.host} answered with a web page")
                body = bytearray()
                for chunk in self.chunks(response, name):
                    body += chunk
                    if len(body) > _LONGEST_RECORD:
                        raise FetchError(f"{name}: the answer has no end")
                return bytes(body)

        body = self.persist(ask)
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise FetchError(f"{name}: {self.host} answered with what is no JSON") from error
        return parse_record(number, answer)

    @contextlib.contextmanager
    def open(self, url: str, name: str, offset: int = 0) -> Iterator[requests.Response]:
        """An answer of status 200, or 206 or 416 to an offset, whose body is still to be read.

        name: of what is asked for, in messages. Raises UnreachableError, PassingError and
        FetchError.
        """
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        try:
            with self.session.get(
                url, headers=headers, stream=True, timeout=(CONNECT_S, READ_S)
            ) as response:
                self.answered = True
                self._check(response, name, offset)
                yield response
        except requests.TooManyRedirects as error:
            raise FetchError(
                f"{name}: {self.host} redirects in a circle (more than {_REDIRECTS} times)"
            ) from error
        except (requests.ConnectionError, requests.Timeout) as error:
            raise self._no_answer(error, name) from error
        except urllib3.exceptions.ReadTimeoutError as error:
            raise self._silent(name) from error
        except urllib3.exceptions.HTTPError as error:
            raise PassingError(f"{name}: the connection broke off") from error
        except requests.RequestException as error:
            raise FetchError(f"{name}: cannot be asked for ({type(error).__name__})") from error

    def chunks(self, response: requests.Response, name: str) -> Iterator[bytes]:
        """The body's bytes as they come, undecoded. Raises PassingError where they trickle."""
        since, came = time.monotonic(), 0
        while chunk := response.raw.read1(_CHUNK, decode_content=False):
            yield chunk
            came += len(chunk)
            if time.monotonic() - since > READ_S:
                if came < _SLOWEST * READ_S:
                    raise self._silent(name)
                since, came = time.monotonic(), 0

    def persist(self, attempt: Callable[[], T], reached: Callable[[], int] = lambda: 0) -> T:
        """The outcome of `attempt`, made again after growing waits while its failure may pass.

        reached: bytes that are there by now; tries are counted anew as they grow. Where the last
        try fails too, what is asked for after it gets one try only, until something succeeds.
        """
        failures, best = 0, reached()
        while True:
            try:
                outcome = attempt()
            except PassingError as error:
                grown, best = reached() - best, max(best, reached())
                failures = 1 if grown >= _PROGRESS else failures + 1
                wait = WAITS_S[min(failures, len(WAITS_S)) - 1]
                if error.after_s is not None:
                    wait = max(error.after_s, WAITS_S[0])
                if failures >= self.tries or wait > _LONGEST_WAIT_S:
                    self.tries = 1
                    raise self._given_up(error, failures, wait) from error
                self.say(f"{error}; again in {format_duration(wait)}")
                time.sleep(wait)
            else:
                self.tries = TRIES
                return outcome

    def _given_up(self, error: PassingError, failures: int, wait: float) -> FetchError:
        kind = UnreachableError if error.unreachable else FetchError
        if wait > _LONGEST_WAIT_S and error.after_s is not None:
            return kind(f"{error}, and asks to wait {format_duration(wait)}; try again then")
        return kind(f"{error} ({failures} tries)" if failures > 1 else str(error))

    def _check(self, response: requests.Response, name: str, offset: int) -> None:
        """Raise where the answer is not what was asked for."""
        addresses = [response.url, *(one.url for one in response.history)]
        if self.address.startswith("https:") and any(a.startswith("http:") for a in addresses):
            raise FetchError(f"{name}: {self.host} redirects to an address without encryption")
        status = response.status_code
        if status == 200 or (offset and status in (206, 416)):
            return
        after = _asked_to_wait(response.headers.get("Retry-After"))
        if status == 429:
            raise PassingError(f"{name}: {self.host} answers too many requests (429)", after)
        if status >= 500 or status in (408, 425):
            raise PassingError(f"{name}: {self.host} is out of order ({status})", after)
        if status in _FINAL:
            raise FetchError(f"{name} {_FINAL[status]} ({status} from {self.host})")
        raise FetchError(f"{name}: {self.host} refuses ({_phrase(status)})")

    def _no_answer(self, error: requests.RequestException, name: str) -> FetchError:
        inner = error.args[0] if error.args else None
        if isinstance(error, requests.ReadTimeout):
            return self._silent(name)
        if isinstance(inner, urllib3.exceptions.ProtocolError):  # connected, then nothing
            return PassingError(f"{name}: the connection broke off")
        # a file may lie on another host than its record
        asked = urlsplit(str(error.request.url)).netloc if error.request is not None else self.host
        message = f"{asked} cannot be reached ({_why(error)})"
        if isinstance(error, requests.exceptions.SSLError) or not self.answered:
            return UnreachableError(message)  # so it will be at the next try
        return PassingError(message, unreachable=True)

    def _silent(self, name: str) -> PassingError:
        return PassingError(f"{name}: {self.host} sent nothing for {READ_S:g} s")


def _is_page(response: requests.Response) -> bool:
    return "html" in response.headers.get("Content-Type", "").lower()


def _phrase(status: int) -> str:
    try:
        return f"{status} {http.HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _asked_to_wait(value: str | None) -> float | None:
    """Seconds of a Retry-After, which is a number of them or a date; None where it is neither."""
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdecimal():
        return float(value[:12])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _why(error: BaseException) -> str:
    """The innermost reason in the system's words."""
    if isinstance(error, requests.ConnectTimeout):
        return f"no answer within {CONNECT_S:g} s"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not accepted"
    words = type(error).__name__
    inner: BaseException | None = error
    seen: list[BaseException] = []
    while inner is not None and inner not in seen:
        seen.append(inner)
        if isinstance(inner, OSError) and inner.strerror:
            words = inner.strerror
        reason = getattr(inner, "reason", None) or (inner.args[0] if inner.args else None)
        following = inner.__cause__ or inner.__context__
        inner = following or (reason if isinstance(reason, BaseException) else None)
    return words
