"""The names of the queues on the broker: one for each pool, and one for each pool and delay."""

import hashlib
import math

#: Bytes of UTF-8 that AMQP allows for a queue's name.
_MAX_NAME_BYTES = 255
#: Milliseconds of the longest delay: a ticket that arrives early is delayed again.
_MAX_DELAY_MS = 24 * 3600 * 1000


def pool_queue(pool: str) -> str:
    """Return the name of the pool's queue: `renderctl.POOL`, or a digest of a name that is too long."""
    return _queue_name("", pool)


def delay_queue(pool: str, delay_ms: int) -> str:
    """Return the name of the queue where the pool's tickets wait for `delay_ms` milliseconds."""
    return _queue_name(f"-delay-{delay_ms}", pool)


def rounded_delay(delay_s: float) -> int:
    """Return the delay in milliseconds, rounded up by less than a quarter to keep the number of queues small."""
    delay_ms = min(max(math.ceil(delay_s * 1000), 1), _MAX_DELAY_MS)
    step = 1 << max(delay_ms.bit_length() - 3, 0)
    return -(-delay_ms // step) * step


def _queue_name(kind: str, pool: str) -> str:
    name = f"renderctl{kind}.{pool}"
    encoded = name.encode(errors="surrogatepass")
    if len(encoded) <= _MAX_NAME_BYTES and encoded.decode(errors="replace") == name:
        return name
    # The first dot keeps the two apart: no plain name begins with `renderctl-long`.
    return f"renderctl-long{kind}.{hashlib.sha256(pool.encode(errors='surrogatepass')).hexdigest()}"
