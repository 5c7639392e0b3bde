"""A server, as the verbs ask it: documents there and back, files, events; its errors are ours again."""

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO
from urllib.parse import quote, urlencode

import urllib3

from renderctl import __version__
from renderctl.client.addresses import store_address
from renderctl.client.responses import content_of, parsed
from renderctl.core import errors
from renderctl.core.errors import BadAnswer, RenderctlError, ServerUnavailable, StoreUnavailable

_PREFIX = "/api/v1"
#: Seconds until a connection stands, and until an answer begins or goes on.
_CONNECT_S, _READ_S = 10.0, 60.0
#: The store is tried twice, for less long: there is another way.
_STORE_CONNECT_S = 5.0
_STORE_RETRIES = urllib3.Retry(total=1, read=0, redirect=0, other=0, status=0, backoff_factor=0.1)


#: Bytes of a document, or of a line of events: no server of ours has more to say at once.
MOST_BYTES = 64 << 20
_LONGEST_SENTENCE = 4000


class HttpClient:
    """The API of one server, for whoever holds the token. Safe to use from many threads."""

    def __init__(self, url: str, token: str | None, *, connections: int = 8, most_bytes: int = MOST_BYTES) -> None:
        self.url = url.rstrip("/")
        self.most_bytes = most_bytes  #: that are read of one answer, or of one line of it
        self.reaches_store = True  #: until it is found out that the store, to which a server may send us, is not there
        self.headers = {"User-Agent": f"renderctl/{__version__}"}
        if token is not None:
            self.headers["Authorization"] = f"Bearer {token}"
        self._pool = urllib3.PoolManager(
            maxsize=connections,
            block=True,
            timeout=urllib3.Timeout(connect=_CONNECT_S, read=_READ_S),
            retries=urllib3.Retry(total=3, read=0, redirect=0, other=0, status=0, backoff_factor=0.3),
            ssl_context=ssl.create_default_context(),
        )

    def get(self, path: str, **query: object) -> object:
        """A document. Raises what the server says, and ServerUnavailable."""
        return self.ask("GET", path, query)

    def post(self, path: str, body: object = None, *, patience_s: float = _READ_S, **query: object) -> object:
        """What comes of it."""
        return self.ask("POST", path, query, body, patience_s=patience_s)

    def put(self, path: str, body: object, *, patience_s: float = _READ_S, **query: object) -> object:
        """What comes of it."""
        return self.ask("PUT", path, query, body, patience_s=patience_s)

    def delete(self, path: str, **query: object) -> object:
        """What comes of it."""
        return self.ask("DELETE", path, query)

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, object],
        body: object = None,
        *,
        headers: Mapping[str, str] = {},
        patience_s: float = _READ_S,
    ) -> object:
        """Ask, and read the answer. Bytes are sent as they are, anything else as a document.

        `patience_s`: so many seconds until an answer begins.
        """
        sent, content = {**self.headers, **headers}, body if isinstance(body, bytes) else None
        if body is not None and content is None:
            content = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        with self._reached():
            address = self._address(path, query)
            answer = self._send(method, address, content, sent, urllib3.Timeout(connect=_CONNECT_S, read=patience_s))
            content = content_of(answer, self.most_bytes)
        self._require_success(answer.status, content)
        return self._read(content)

    @contextmanager
    def opened(
        self, path: str, query: Mapping[str, object], *, headers: Mapping[str, str] = {}, patience_s: float = _READ_S
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """An answer that is read as it comes."""
        timeout = urllib3.Timeout(connect=_CONNECT_S, read=patience_s)
        with self._reached():
            answer = self._send("GET", self._address(path, query), None, {**self.headers, **headers}, timeout)
            with _released(answer):
                if answer.status >= 300 and answer.status != 307:
                    self._require_success(answer.status, content_of(answer, self.most_bytes))
                yield answer

    @contextmanager
    def file(self, path: str, headers: Mapping[str, str] = {}) -> Iterator[urllib3.BaseHTTPResponse]:
        """A file that is read as it comes: from the store where the server says so, without our token.

        Raises StoreUnavailable if the store can not be had: ask again, and it comes by way of the server.
        """
        query = {} if self.reaches_store else {"direct": False}
        with self.opened(path, query, headers=headers) as answer:
            if answer.status != 307:
                yield answer
                return
            with _released(self._stored(answer.headers.get("location"), headers)) as stored:
                try:
                    yield stored
                except urllib3.exceptions.HTTPError as error:
                    raise StoreUnavailable(f"The store broke off: {_sentence(error)}.") from error

    def put_elsewhere(self, url: str, body: IO[bytes], size: int) -> bool:
        """Put a file at an address in the store that the server has told; whether that could be done.

        An address that a store of the farm can not have is not asked.
        """
        if not self.reaches_store:
            return False
        try:
            answer = self._send_to_store("PUT", url, body, {"Content-Length": str(size)})
            content_of(answer, self.most_bytes)
        except (urllib3.exceptions.HTTPError, BadAnswer):
            self.reaches_store = False
            return False
        return answer.status == 200

    def _stored(self, url: str | None, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        try:
            answer = self._send_to_store("GET", url, None, headers)
        except (urllib3.exceptions.HTTPError, BadAnswer) as error:
            self.reaches_store = False
            raise StoreUnavailable(f"The store is out of reach: {_sentence(error)}.") from error
        if answer.status >= 300:
            self.reaches_store = False
            answer.close()
            raise StoreUnavailable(f"The store has failed: status {answer.status}.")
        return answer

    def _send(
        self, method: str, address: str, body: bytes | None, headers: Mapping[str, str], timeout: urllib3.Timeout
    ) -> urllib3.BaseHTTPResponse:
        return self._pool.request(
            method, address, body=body, headers=headers, timeout=timeout, preload_content=False, redirect=False
        )

    def _send_to_store(
        self, method: str, url: str | None, body: IO[bytes] | None, headers: Mapping[str, str]
    ) -> urllib3.BaseHTTPResponse:
        return self._pool.request(
            method,
            store_address(url, self.url),
            body=body,
            headers=headers,
            timeout=urllib3.Timeout(connect=_STORE_CONNECT_S, read=_READ_S),
            retries=_STORE_RETRIES,
            preload_content=False,
            redirect=False,
        )

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.clear()

    def _address(self, path: str, query: Mapping[str, object]) -> str:
        parameters = [(key, value) for key, value in query.items() if value is not None]
        words = [(key, str(value).lower() if isinstance(value, bool) else value) for key, value in parameters]
        return f"{self.url}{_PREFIX}{path}" + (f"?{urlencode(words, doseq=True)}" if words else "")

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except urllib3.exceptions.HTTPError as error:
            reason: object = getattr(error, "reason", None) or error
            raise ServerUnavailable(
                f"The server {self.url} is out of reach: {_sentence(reason)}.",
                hint="Is the address right, and is `renderctl serve` running there?",
            ) from error

    def _require_success(self, status: int, content: bytes) -> None:
        if status < 300:
            return
        document = self._read(content)
        error = document.get("error") if isinstance(document, dict) else None
        if not isinstance(error, dict):
            raise ServerUnavailable(f"The server {self.url} has failed: status {status}.")
        kind = _KINDS.get(str(error.get("code")), RenderctlError)
        raise kind(_sentence_in(error, "message"), hint=_sentence_in(error, "hint"))

    def document(self, content: bytes) -> object:
        """What a line of an answer says. Raises ServerUnavailable."""
        return self._read(content)

    def _read(self, content: bytes) -> object:
        try:
            return parsed(content) if content else None
        except ValueError as error:
            hint = "Is that the address of a web page?"
            raise ServerUnavailable(f"{self.url} answers, but not the way renderctl does.", hint=hint) from error


@contextmanager
def _released(answer: urllib3.BaseHTTPResponse) -> Iterator[urllib3.BaseHTTPResponse]:
    """For as long as it is read."""
    try:
        yield answer
    finally:
        answer.close()
        answer.release_conn()


def quoted(part: str) -> str:
    """A part of a path."""
    return quote(part, safe="")


def _sentence_in(document: Mapping[str, object], key: str) -> str | None:
    """What a server says of an error, as far as it is a sentence."""
    text = document.get(key)
    return text[:_LONGEST_SENTENCE] if isinstance(text, str) else None


def _below(kind: type[RenderctlError]) -> Iterator[type[RenderctlError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _below(child)


#: The errors by their codes: those that a server can tell of.
_KINDS = {kind().code: kind for kind in _below(RenderctlError) if kind.__module__ == errors.__name__}
del _KINDS["builder_missing"]


def _sentence(error: object) -> str:
    """What the system said, without addresses in memory."""
    seen: BaseException | None = error if isinstance(error, BaseException) else None
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror
        seen = seen.__cause__ or seen.__context__
    return type(error).__name__ if isinstance(error, BaseException) else str(error)
