"""The client of an S3: connections that are kept open, time-outs that mean no progress, retries with back-off."""

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

#: Seconds until a connection stands, or a block of a body is taken.
_CONNECT_S = 5.0
#: A body is sent in blocks of this many bytes. Sent in one piece it would have to be through within the time-out,
#: which a slow line can not do.
_BLOCK = 1 << 17
#: A clock that is wrong by less than this is right enough for an S3, which allows 15 minutes.
_CLOSE = timedelta(minutes=1)

_logger = logging.getLogger(__name__)


def connect(settings: StoreSettings, *, connections: int, patience_s: float) -> "Client":
    """A client for the endpoint of the settings, who waits `patience_s` for an answer to begin or to go on.

    With less patience it also connects, and tries again, sooner. Nothing is sent yet. Raises BadSettings.
    """
    try:
        check_bucket_name(settings.bucket, strict=True)
        return Client(
            settings.endpoint or "",
            access_key=settings.access_key,
            secret_key=settings.secret_key,
            secure=settings.secure,
            region=settings.region,
            http_client=_Connections(settings.secure, connections, patience_s),
        )
    except ValueError as error:
        raise BadSettings(
            f"The settings of the store can not be used: {error}.",
            hint="store.endpoint is HOST or HOST:PORT and nothing else; store.secure says whether it is TLS.",
        ) from error


class Client(minio.Minio):
    """Signs its requests with the server's time: one that bears a time of 15 minutes ago or ahead is refused.

    The server's time is learned from such a refusal. Time is no parameter of the client: this overrides its own parts.
    """

    _ahead = timedelta()  # of our clock, the server's

    def time(self) -> datetime:
        """The server's, as far as it is known."""
        return datetime.now(UTC) + self._ahead

    def _build_headers(self, *args: Any, **kw: Any) -> tuple[dict[str, Any], datetime]:
        headers, date = super()._build_headers(*args, **kw)
        date += self._ahead
        return headers | {"x-amz-date": to_amz_date(date)}, date

    def _url_open(self, *args: Any, **kw: Any) -> Any:
        try:
            return super()._url_open(*args, **kw)
        except minio.S3Error as error:
            if not self._has_learned(error):
                raise
            return super()._url_open(*args, **kw)

    def _has_learned(self, error: minio.S3Error) -> bool:
        """Whether the server has refused a request because of a time that we know better now."""
        said = error.response.headers.get("date") if error.response is not None else None
        if said is None or error.response.status != 403:
            return False
        ahead = parsedate_to_datetime(said) - datetime.now(UTC)
        if abs(ahead - self._ahead) < _CLOSE:
            return False
        self._ahead = ahead
        _logger.warning("this machine's clock is wrong by %.0f s, as the S3 store has it", ahead.total_seconds())
        return True


class _Connections(urllib3.PoolManager):
    """What the client sends its requests over."""

    def __init__(self, secure: bool, connections: int, patience_s: float) -> None:
        _quieten()
        super().__init__(
            timeout=urllib3.Timeout(connect=min(_CONNECT_S, patience_s / 2), read=patience_s),
            retries=_retries(min(0.2, patience_s / 10)),
            maxsize=connections,
            blocksize=_BLOCK,
            ssl_context=_trust() if secure else None,
        )

    def urlopen(self, method: str, url: str, redirect: bool = True, **kw: Any) -> urllib3.BaseHTTPResponse:  # type: ignore[override]
        body = kw.get("body")
        if isinstance(body, bytes) and len(body) > _BLOCK:
            kw["body"] = io.BytesIO(body)
        return super().urlopen(method, url, redirect, **kw)


def _retries(pause_s: float) -> urllib3.Retry:
    """For every method: a part or a whole object that is sent twice is the same, and so is a list."""
    return urllib3.Retry(
        total=4,
        connect=3,
        read=1,  # an endpoint that accepts and does not answer costs two time-outs, not five
        redirect=0,
        other=0,  # a certificate does not get better
        backoff_factor=pause_s,
        backoff_jitter=pause_s,
        allowed_methods=None,
        status_forcelist=(500, 502, 503, 504),
        raise_on_status=False,
        raise_on_redirect=False,
        respect_retry_after_header=False,  # it may say hours
    )


def _trust() -> ssl.SSLContext:
    """The authorities that the system trusts (or SSL_CERT_FILE names), and those of every browser."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _quieten() -> None:
    """Each retry is a warning of the library, in its own words; what comes of it is said in ours."""
    logger = logging.getLogger("urllib3.connectionpool")
    if logger.getEffectiveLevel() > logging.DEBUG:
        logger.setLevel(logging.ERROR)
