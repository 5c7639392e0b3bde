"""The S3 client: pooled connections, time-outs that mean no progress, retries with back-off."""

import io
import logging
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import certifi
import minio
import urllib3
from minio.helpers import check_bucket_name
from minio.time import to_amz_date

from renderctl.core.errors import BadSettings
from renderctl.core.settings import StoreSettings

#: Seconds to establish a connection, or to send one block of a body.
_CONNECT_TIMEOUT_S = 5.0
#: A body is sent in blocks of this many bytes. As one block it would have to be sent within the time-out, which a
#: slow line cannot do.
_BLOCK_BYTES = 1 << 17
#: A smaller clock error is ignored: S3 allows 15 minutes.
_CLOCK_TOLERANCE = timedelta(minutes=1)

_logger = logging.getLogger(__name__)


def connect(settings: StoreSettings, *, connections: int, timeout_s: float) -> "Client":
    """Return a client that waits `timeout_s` seconds for a response to begin or to continue.

    Connecting and the back-off between retries are limited in proportion. Sends nothing yet. Raises BadSettings.
    """
    try:
        check_bucket_name(settings.bucket, strict=True)
        return Client(
            settings.endpoint or "",
            access_key=settings.access_key,
            secret_key=settings.secret_key,
            secure=settings.secure,
            region=settings.region,
            http_client=_ConnectionPool(settings.secure, connections, timeout_s),
        )
    except ValueError as error:
        raise BadSettings(
            f"The settings of the store cannot be used: {error}.",
            hint="store.endpoint must be HOST or HOST:PORT, without a scheme; store.secure turns TLS on.",
        ) from error


class Client(minio.Minio):
    """Signs requests with the server's time: S3 refuses those that are 15 minutes off (RequestTimeTooSkewed).

    The server's time is taken from such a refusal. minio.Minio has no parameter for a clock: this overrides methods.
    """

    _clock_offset = timedelta()  # the server's clock minus this machine's

    def server_time(self) -> datetime:
        """Return the server's time in UTC, as far as it is known."""
        return datetime.now(UTC) + self._clock_offset

    def _build_headers(self, *args: Any, **kwargs: Any) -> tuple[dict[str, Any], datetime]:
        headers, date = super()._build_headers(*args, **kwargs)
        date += self._clock_offset
        return headers | {"x-amz-date": to_amz_date(date)}, date

    def _url_open(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super()._url_open(*args, **kwargs)
        except minio.S3Error as error:
            if not self._adjust_clock(error):
                raise
            return super()._url_open(*args, **kwargs)

    def _adjust_clock(self, error: minio.S3Error) -> bool:
        """Return whether the error was a skewed clock, which is corrected now, so that a retry makes sense."""
        date = error.response.headers.get("date") if error.response is not None else None
        if date is None or error.response.status != 403:
            return False
        clock_offset = parsedate_to_datetime(date) - datetime.now(UTC)
        if abs(clock_offset - self._clock_offset) < _CLOCK_TOLERANCE:
            return False
        self._clock_offset = clock_offset
        _logger.warning("this machine's clock is %.0f s off the S3 store's clock", clock_offset.total_seconds())
        return True


class _ConnectionPool(urllib3.PoolManager):
    """The connection pool with the client's time-outs and retries."""

    def __init__(self, secure: bool, connections: int, timeout_s: float) -> None:
        _silence_retry_warnings()
        super().__init__(
            timeout=urllib3.Timeout(connect=min(_CONNECT_TIMEOUT_S, timeout_s / 2), read=timeout_s),
            retries=_retries(min(0.2, timeout_s / 10)),
            maxsize=connections,
            blocksize=_BLOCK_BYTES,
            ssl_context=_ssl_context() if secure else None,
        )

    def urlopen(self, method: str, url: str, redirect: bool = True, **kwargs: Any) -> urllib3.BaseHTTPResponse:  # type: ignore[override]
        body = kwargs.get("body")
        if isinstance(body, bytes) and len(body) > _BLOCK_BYTES:
            kwargs["body"] = io.BytesIO(body)
        return super().urlopen(method, url, redirect, **kwargs)


def _retries(backoff_s: float) -> urllib3.Retry:
    """Retry every method: all requests of the store are idempotent."""
    return urllib3.Retry(
        total=4,
        connect=3,
        read=1,  # an endpoint that accepts and does not answer costs two time-outs, not five
        redirect=0,
        other=0,  # a certificate error is permanent
        backoff_factor=backoff_s,
        backoff_jitter=backoff_s,
        allowed_methods=None,
        status_forcelist=(500, 502, 503, 504),
        raise_on_status=False,
        raise_on_redirect=False,
        respect_retry_after_header=False,  # it may say hours
    )


def _ssl_context() -> ssl.SSLContext:
    """Trust the system's certificate authorities (or those of SSL_CERT_FILE) and certifi's."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _silence_retry_warnings() -> None:
    """Keep urllib3 from logging each retry: the outcome is raised as StoreUnavailable."""
    logger = logging.getLogger("urllib3.connectionpool")
    if logger.getEffectiveLevel() > logging.DEBUG:
        logger.setLevel(logging.ERROR)
