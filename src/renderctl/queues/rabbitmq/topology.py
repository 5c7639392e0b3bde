"""What the queues of the farm are called on the broker: any pool has one of its own, and one for each delay."""

import hashlib
import math

#: Bytes of UTF-8 that the name of a queue may have.
_LONGEST = 255
#: Milliseconds of the longest delay: a ticket that comes back early is put back again.
_LONGEST_DELAY = 24 * 3600 * 1000


def pool_queue(pool: str) -> str:
    """`renderctl.POOL`; another pool has another one."""
    return _named("", pool)


def delay_queue(pool: str, delay_ms: int) -> str:
    """Where tickets of the pool wait for so many milliseconds."""
    return _named(f"-delay-{delay_ms}", pool)


def rounded_delay(delay_s: float) -> int:
    """Milliseconds, rounded up by less than a quarter, so that the number of different delays stays small."""
    delay_ms = min(max(math.ceil(delay_s * 1000), 1), _LONGEST_DELAY)
    step = 1 << max(delay_ms.bit_length() - 3, 0)
    return -(-delay_ms // step) * step


def _named(kind: str, pool: str) -> str:
    plain = f"renderctl{kind}.{pool}"
    written = plain.encode(errors="surrogatepass")
    if len(written) <= _LONGEST and written.decode(errors="replace") == plain:
        return plain
    # The first dot tells the two apart: no plain name begins with `renderctl-long`.
    return f"renderctl-long{kind}.{hashlib.sha256(pool.encode(errors='surrogatepass')).hexdigest()}"
