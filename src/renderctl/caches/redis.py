"""The shared cache: a Redis server that every node of the farm reads and writes, and does without when it is away."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from renderctl.caches import Cache, encoded
from renderctl.caches.circuit_breaker import CircuitBreaker
from renderctl.caches.redis_errors import ERRORS, explain, place_of, unusable_url
from renderctl.core.clocks import Clock
from renderctl.core.errors import Unreachable

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")

#: Seconds for a connection, and for an answer: what a frozen server may cost, now and then.
_PATIENCE_S = 0.3
#: Seconds between two warnings of the same.
_TELL_EVERY_S = 60.0
_OLDEST = (6, 2)

# A document is held as VERSION (20 digits, which compare as text) TTL (milliseconds) JSON.
_PUT = """
local held = redis.pcall('GET', KEYS[1])
local version = type(held) == 'string' and string.match(held, '^(%d+) %d+ {')
if version and #version == 20 and version > ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2] .. ' ' .. ARGV[3], 'PX', ARGV[2])
return 1
"""
# A log is a stream. An entry's id is the offset at which its text ends; it says, too, from which offset on all is kept.
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
    are redis-py's), or `unix://PATH`. A server that is away or frozen costs 0.3 s now and then, and no more.
    Raises BadSettings for a URL that makes no sense.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        # A connection that the server has closed meanwhile is opened again at once; silence is not asked twice.
        retry = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
        try:
            self._client = redis.Redis.from_url(
                url, socket_timeout=_PATIENCE_S, socket_connect_timeout=_PATIENCE_S, retry=retry, protocol=2
            )
            pool = self._client.connection_pool
            pool.connection_class(**pool.connection_kwargs)  # opens nothing, and says which options there are not
        except (TypeError, ValueError, redis.RedisError):
            raise unusable_url() from None  # what they say may hold a piece of the password
        self.place = place_of(url, pool.connection_kwargs)
        self._clock = clock
        self._breaker = CircuitBreaker(clock)
        self._told: dict[str, float] = {}
        self._put = self._client.register_script(_PUT)
        self._append = self._client.register_script(_APPEND)
        self._tail = self._client.register_script(_TAIL)

    def put(self, key: str, document: Mapping[str, Any], *, version: int, ttl_s: float) -> None:
        text = json.dumps(document, separators=(",", ":"))
        self._attempt(lambda: self._put([_document(key)], [f"{version:020d}", max(1, round(ttl_s * 1000)), text]), None)

    def get(self, key: str, *, younger_than_s: float | None = None) -> dict[str, Any] | None:
        def read() -> dict[str, Any] | None:
            if younger_than_s is None:
                return _parsed(self._client.get(_document(key)))
            # Without a transaction: a copy that is replaced between the two was the latest until then.
            with self._client.pipeline(transaction=False) as pipeline:
                pipeline.get(_document(key))
                pipeline.pttl(_document(key))
                held, left_ms = pipeline.execute()
            return _parsed(held) if _age_s(held, left_ms) < younger_than_s else None

        return self._attempt(read, None)

    def get_many(self, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        def read() -> dict[str, dict[str, Any]]:
            held = self._client.mget([_document(key) for key in keys]) if keys else []
            found = {key: _parsed(each) for key, each in zip(keys, held, strict=True)}
            return {key: document for key, document in found.items() if document is not None}

        return self._attempt(read, {})

    def forget(self, key: str) -> None:
        self._attempt(lambda: self._client.delete(_document(key)), None)

    def append(self, key: str, text: bytes, *, at: int, limit: int = 1 << 20, ttl_s: float = 120.0) -> None:
        if text:
            life_ms = max(1, round(ttl_s * 1000))
            self._attempt(lambda: self._append([_log(key)], [at, text, limit, life_ms]), None)

    def tail(self, key: str, offset: int) -> tuple[bytes, int]:
        def read() -> tuple[bytes, int]:
            found = self._tail([_log(key)], [offset])
            return (found[0], found[1]) if found else (b"", offset)

        return self._attempt(read, (b"", offset))

    def check(self) -> str:
        key = _document("check")
        try:
            server = self._client.info("server")
            self._put([key], [f"{0:020d}", 1000, "{}"])
            self._client.get(key)
            self._client.delete(key)
        except ERRORS as error:
            raise explain(error, self.place) from error
        version = str(server["redis_version"])
        if tuple(map(int, version.split(".")[:2])) < _OLDEST:
            needed = ".".join(map(str, _OLDEST))
            raise Unreachable(
                f"The cache at {self.place} is Redis {version}; {needed} is needed.", hint="Upgrade the Redis server."
            )
        return f"Redis {version} at {self.place}"

    def close(self) -> None:
        self._client.close()

    def _attempt(self, action: Callable[[], Answer], otherwise: Answer) -> Answer:
        """What the action answers, or `otherwise` while the cache is away."""
        if not self._breaker.lets_through():
            return otherwise
        was_away = self._breaker.broken
        try:
            with self._breaker.watching(redis.ConnectionError, redis.TimeoutError, OSError):
                answer = action()
        except ERRORS as error:
            self._tell(explain(error, self.place).message)
            return otherwise
        if was_away:
            log.info("the cache at %s is back", self.place)
        return answer

    def _tell(self, trouble: str) -> None:
        """Say what is wrong, the same only now and then."""
        now = self._clock.monotonic()
        if now - self._told.get(trouble, -_TELL_EVERY_S) >= _TELL_EVERY_S:
            self._told[trouble] = now
            log.warning("%s The farm goes on without it.", trouble)


def _document(key: str) -> bytes:
    return b"renderctl:document:" + encoded(key)


def _log(key: str) -> bytes:
    return b"renderctl:log:" + encoded(key)


def _parsed(held: Any) -> dict[str, Any] | None:
    """The document in a value; None when somebody else has written there."""
    try:
        document = json.loads(held.split(b" ", 2)[2]) if held else None
    except (IndexError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def _age_s(held: Any, left_ms: int) -> float:
    """Seconds since a value was put, by the server's own clock."""
    try:
        return (int(held.split(b" ", 2)[1]) - left_ms) / 1000 if left_ms > 0 else float("inf")
    except (AttributeError, IndexError, ValueError):
        return float("inf")
