"""Translates errors of S3 and of the network into messages that name the endpoint and what to do."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from xml.etree.ElementTree import ParseError

from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from urllib3 import exceptions as urllib3

from renderctl.core.errors import StoreUnavailable
from renderctl.core.settings import StoreSettings

_FULL = "Free some space (`renderctl gc` removes what nothing needs), or raise the quota."
_TLS_HINT = "If it speaks TLS, set store.secure to true."
#: Error code of S3, MinIO or Ceph -> what is wrong, what to do.
_BY_CODE: Mapping[str, tuple[str, str]] = {
    "InvalidAccessKeyId": ("does not know the access key", "Check store.access_key."),
    "SignatureDoesNotMatch": (
        "does not accept the secret key",
        "Check store.secret_key, and that it belongs to store.access_key.",
    ),
    "AccessDenied": (
        "does not allow that with these keys",
        "Grant them list, read, write and delete in the bucket {bucket}.",
    ),
    "NoSuchBucket": ("has no bucket {bucket} any more", "Was it deleted? A new process creates a new, empty one."),
    "BucketAlreadyExists": ("has a bucket {bucket} of another account", "Choose another name for store.bucket."),
    "QuotaExceeded": ("is full: the quota is used up", _FULL),
    "XMinioAdminBucketQuotaExceeded": ("is full: the bucket's quota is used up", _FULL),
    "XMinioStorageFull": ("is full", _FULL),
    "StorageFull": ("is full", _FULL),
    "InsufficientStorage": ("is full", _FULL),
    "SlowDown": ("asks for fewer requests", "Try again in a while."),
    "ServiceUnavailable": ("is unavailable at the moment", "Try again in a while."),
    "InternalError": ("has failed internally", "See its log."),
}
_REGION = {"AuthorizationHeaderMalformed", "InvalidRegion", "IllegalLocationConstraintException", "PermanentRedirect"}
_CLOCK = {"RequestTimeTooSkewed", "RequestExpired"}


@contextmanager
def translate_errors(settings: StoreSettings) -> Iterator[None]:
    """Turn the client's exceptions into StoreUnavailable, with what is wrong and what to do."""
    try:
        yield
    except (MinioException, urllib3.HTTPError, ParseError, UnicodeDecodeError) as error:
        raise unavailable(error, settings) from error


def unavailable(error: Exception, settings: StoreSettings) -> StoreUnavailable:
    """Return the error to show to the user; never with a key."""
    if isinstance(error, S3Error):
        problem, hint = _refusal(error, settings)
    elif isinstance(error, urllib3.HTTPError):
        problem, hint = _network_error(error, settings)
    else:
        problem, hint = _protocol_error(error, settings)
    return StoreUnavailable(f"The S3 store {settings.endpoint} {problem}.", hint=hint)


def _refusal(error: S3Error, settings: StoreSettings) -> tuple[str, str | None]:
    code = error.code or "?"
    detail = (
        f" ({code}: {error.message.strip().rstrip('.')})" if error.message and error.message.strip() else f" ({code})"
    )
    headers = error.response.headers if error.response is not None else {}
    if code in _CLOCK:
        return f"rejects this machine's clock: {_clock_difference(headers.get('date'))}{detail}", _SET_CLOCK
    if region := headers.get("x-amz-bucket-region"):
        return f"has the bucket {settings.bucket} in the region {region}{detail}", f"Set store.region to {region}."
    if code in _REGION:
        return f"is in another region than {settings.region or 'us-east-1'}{detail}", "Set store.region to its own."
    if error.response is not None and error.response.status == 507:
        return f"is full{detail}", _FULL
    problem, hint = _BY_CODE.get(code, ("refuses the request", "See its log."))
    return problem.format(bucket=settings.bucket) + detail, hint.format(bucket=settings.bucket)


_SET_CLOCK = "Synchronize the clocks of this machine and of the store with a time server (NTP)."


def _clock_difference(date: str | None) -> str:
    try:
        seconds = (datetime.now(UTC) - parsedate_to_datetime(date or "")).total_seconds()
    except (ValueError, TypeError):
        return "it is too far from the store's"
    return f"it is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} the store's"


def _network_error(error: urllib3.HTTPError, settings: StoreSettings) -> tuple[str, str | None]:
    cause = error.reason if isinstance(error, urllib3.MaxRetryError) and error.reason else error
    if isinstance(cause, urllib3.SSLError):
        return _tls_error(str(cause))
    if isinstance(cause, urllib3.NameResolutionError):
        return "has a name that does not resolve", "Check store.endpoint."
    if isinstance(cause, urllib3.NewConnectionError):
        return f"is out of reach: {_system_message(cause)}", "Is it running? Check store.endpoint."
    if isinstance(cause, urllib3.ConnectTimeoutError):
        return "does not respond: no connection within the time-out", "Check store.endpoint; is a firewall in between?"
    if isinstance(cause, urllib3.TimeoutError):
        return "accepted the request but did not respond in time", "Is it overloaded, or frozen?"
    hint = "Is it running?" if settings.secure else f"Is it running? {_TLS_HINT}"
    return f"closed the connection: {_system_message(cause)}", hint


def _tls_error(detail: str) -> tuple[str, str]:
    if "WRONG_VERSION_NUMBER" in detail or "record layer" in detail.lower():
        return "does not speak TLS", "Set store.secure to false, or use the TLS port."
    if "CERTIFICATE_VERIFY_FAILED" in detail:
        reason = detail.partition("certificate verify failed: ")[2].partition(" (_ssl")[0] or "it is not trusted"
        return (
            f"has a certificate that is not trusted: {reason}",
            "Name its authority's certificate file in SSL_CERT_FILE; the certificate must include the endpoint's name.",
        )
    return f"failed the TLS handshake: {detail.rstrip('.')}", "Set store.secure to false if the port has no TLS."


def _protocol_error(error: Exception, settings: StoreSettings) -> tuple[str, str | None]:
    if isinstance(error, ServerError) and error.status_code == 507:
        return "is full", _FULL
    if isinstance(error, InvalidResponseError) and "HTTPS server" in str(error):
        return "accepts TLS only", "Set store.secure to true."
    if status := re.search(r"(?:Response|status) code:? (50[0234])", str(error)):
        return f"has failed: status {status[1]}", "Are the store and the proxy in front of it running? See their logs."
    return "does not respond as an S3 does", "Check store.endpoint: is it the port of a website?"


def _system_message(error: BaseException) -> str:
    """Return the system's message, such as `Connection refused`, without addresses of objects in memory."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return next((str(arg) for arg in error.args if isinstance(arg, str)), type(error).__name__).rstrip(".")
