"""The shared cache: a Redis server that all nodes of the farm use, and do without when it is out of reach."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from renderctl.caches import Cache, encode_key
from renderctl.caches.circuit_breaker import CircuitBreaker
from renderctl.caches.redis_errors import ERRORS, explain, redacted_url, unusable_url
from renderctl.core.clocks import Clock
from renderctl.core.errors import Unreachable

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Seconds for a connection, and for a reply: the cost of a frozen server, now and then.
_TIMEOUT_S = 0.3
#: Seconds between two warnings with the same text.
_WARN_EVERY_S = 60.0
_MIN_VERSION = (6, 2)

# A document is stored as VERSION (20 digits, which compare as text) TTL (milliseconds) JSON.
_PUT = """
local held = redis.pcall('GET', KEYS[1])
local version = type(held) == 'string' and string.match(held, '^(%d+) %d+ {')
if version and #version == 20 and version > ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2] .. ' ' .. ARGV[3], 'PX', ARGV[2])
return 1
"""
# A log is a stream. An entry's id is the offset at which its text ends; `kept` is the offset from which all is cached.
_APPEND = """
local at, text, limit = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local last = redis.pcall('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local kept_from, ends_at = at, at
if last[1] then
    ends_at, kept_from = tonumber(string.match(last[1][1], '^%d+')), tonumber(last[1][2][4])
end
if last.err or at > ends_at then
    redis.call('DEL', KEYS[1])
    kept_from, ends_at = at, at
end
text = string.sub(text, ends_at - at + 1)
if text == '' then return end
ends_at = ends_at + #text
kept_from = math.max(kept_from, ends_at - limit)
local id = string.format('%.0f-0', ends_at)
redis.call('XADD', KEYS[1], id, 'text', string.sub(text, -limit), 'kept', string.format('%.0f', kept_from))
redis.call('XTRIM', KEYS[1], 'MINID', string.format('%.0f', kept_from + 1))
redis.call('PEXPIRE', KEYS[1], ARGV[4])
"""
_TAIL = """
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
if not last[1] then return false end
local ends_at, kept_from = tonumber(string.match(last[1][1], '^%d+')), tonumber(last[1][2][4])
local from = tonumber(ARGV[1])
if from < kept_from then from = kept_from end
if from >= ends_at then return false end
local pieces = {}
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], string.format('%.0f', from + 1), '+')) do
    table.insert(pieces, entry[2][2])
end
return {string.sub(table.concat(pieces), from - ends_at), ends_at}
"""


class RedisCache(Cache):
    """Documents and tails of logs in a Redis server, below keys that begin with `renderctl:`.

    The URL is `redis://[USER:PASSWORD@]HOST:PORT/DATABASE`, `rediss://…` for TLS (options such as `?ssl_ca_certs=FILE`
    are redis-py's), or `unix://PATH`. A frozen server costs 0.3 s now and then: see CircuitBreaker.
    Raises BadSettings for a malformed URL.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        # A connection that the server has closed meanwhile is opened again at once; a time-out is not retried.
        retry = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
        try:
            self._client = redis.Redis.from_url(
                url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, retry=retry, protocol=2
            )
            pool = self._client.connection_pool
            pool.connection_class(**pool.connection_kwargs)  # connects to nothing, but refuses unknown options
        except (TypeError, ValueError, redis.RedisError):
            raise unusable_url() from None  # their text may hold a piece of the password
        self.place = redacted_url(url, pool.connection_kwargs)
        self._clock = clock
        self._breaker = CircuitBreaker(clock)
        self._warned_at: dict[str, float] = {}
        self._put = self._client.register_script(_PUT)
        self._append = self._client.register_script(_APPEND)
        self._tail = self._client.register_script(_TAIL)

    def put(self, key: str, document: Mapping[str, Any], *, version: int, ttl_s: float) -> None:
        """Run the script that compares versions and sets the document."""
        text = json.dumps(document, separators=(",", ":"))
        self._call(
            lambda: self._put([_document_key(key)], [f"{version:020d}", max(1, round(ttl_s * 1000)), text]), None
        )

    def get(self, key: str, *, younger_than_s: float | None = None) -> dict[str, Any] | None:
        """GET the document; its age comes from PTTL."""

        def read() -> dict[str, Any] | None:
            if younger_than_s is None:
                return _parse(self._client.get(_document_key(key)))
            # Without a transaction: a document that is replaced between the two was the latest until then.
            with self._client.pipeline(transaction=False) as pipeline:
                pipeline.get(_document_key(key))
                pipeline.pttl(_document_key(key))
                value, left_ms = pipeline.execute()
            return _parse(value) if _age_s(value, left_ms) < younger_than_s else None

        return self._call(read, None)

    def get_many(self, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        """MGET the documents."""

        def read() -> dict[str, dict[str, Any]]:
            values = self._client.mget([_document_key(key) for key in keys]) if keys else []
            documents = {key: _parse(value) for key, value in zip(keys, values, strict=True)}
            return {key: document for key, document in documents.items() if document is not None}

        return self._call(read, {})

    def forget(self, key: str) -> None:
        """DEL the document."""
        self._call(lambda: self._client.delete(_document_key(key)), None)

    def append(self, key: str, text: bytes, *, at: int, limit: int = 1 << 20, ttl_s: float = 120.0) -> None:
        """Run the script that appends to the log's stream and trims it."""
        if text:
            ttl_ms = max(1, round(ttl_s * 1000))
            self._call(lambda: self._append([_log_key(key)], [at, text, limit, ttl_ms]), None)

    def tail(self, key: str, offset: int) -> tuple[bytes, int]:
        """Run the script that reads the log's stream."""

        def read() -> tuple[bytes, int]:
            reply = self._tail([_log_key(key)], [offset])
            return (reply[0], reply[1]) if reply else (b"", offset)

        return self._call(read, (b"", offset))

    def check(self) -> str:
        """Write, read and delete a document; return the server's version and place. Raises Unreachable."""
        key = _document_key("check")
        try:
            server = self._client.info("server")
            self._put([key], [f"{0:020d}", 1000, "{}"])
            self._client.get(key)
            self._client.delete(key)
        except ERRORS as error:
            raise explain(error, self.place) from error
        version = str(server["redis_version"])
        if tuple(map(int, version.split(".")[:2])) < _MIN_VERSION:
            min_version = ".".join(map(str, _MIN_VERSION))
            raise Unreachable(
                f"The cache at {self.place} is Redis {version}; {min_version} is needed.",
                hint="Upgrade the Redis server.",
            )
        return f"Redis {version} at {self.place}"

    def close(self) -> None:
        """Close the connections to the server."""
        self._client.close()

    def _call(self, operation: Callable[[], T], default: T) -> T:
        """Return the operation's result, or `default` while the cache is out of reach."""
        if not self._breaker.allows():
            return default
        was_open = self._breaker.is_open
        try:
            with self._breaker.guard(redis.ConnectionError, redis.TimeoutError, OSError):
                result = operation()
        except ERRORS as error:
            self._warn(explain(error, self.place).message)
            return default
        if was_open:
            log.info("the cache at %s is back", self.place)
        return result

    def _warn(self, message: str) -> None:
        """Log a warning, the same text at most once a minute."""
        now = self._clock.monotonic()
        if now - self._warned_at.get(message, -_WARN_EVERY_S) >= _WARN_EVERY_S:
            self._warned_at[message] = now
            log.warning("%s The farm works without it.", message)


def _document_key(key: str) -> bytes:
    return b"renderctl:document:" + encode_key(key)


def _log_key(key: str) -> bytes:
    return b"renderctl:log:" + encode_key(key)


def _parse(value: Any) -> dict[str, Any] | None:
    """Return the document of a value; None if another program wrote the value."""
    try:
        document = json.loads(value.split(b" ", 2)[2]) if value else None
    except (IndexError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def _age_s(value: Any, left_ms: int) -> float:
    """Return the seconds since a value was put, by the server's own clock."""
    try:
        return (int(value.split(b" ", 2)[1]) - left_ms) / 1000 if left_ms > 0 else float("inf")
    except (AttributeError, IndexError, ValueError):
        return float("inf")
