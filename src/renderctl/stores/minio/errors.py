"""What an S3 or the way to it says when it can not, in sentences that name the endpoint and what to do."""

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
_PLAIN_HINT = "If it speaks TLS, set store.secure to true."
#: Code of S3, MinIO or Ceph -> what is the matter, what to do.
_SAID: Mapping[str, tuple[str, str]] = {
    "InvalidAccessKeyId": ("does not know the access key", "Check store.access_key."),
    "SignatureDoesNotMatch": (
        "does not accept the secret key",
        "Check store.secret_key, and that it is the key's own.",
    ),
    "AccessDenied": (
        "does not allow that with these keys",
        "They need the right to list, read, write and delete in the bucket {bucket}.",
    ),
    "NoSuchBucket": ("has no bucket {bucket} any more", "Was it deleted? A new process makes a new, empty one."),
    "BucketAlreadyExists": ("has a bucket {bucket} that is someone else's", "Choose another name for store.bucket."),
    "QuotaExceeded": ("is full: the quota is used up", _FULL),
    "XMinioAdminBucketQuotaExceeded": ("is full: the bucket's quota is used up", _FULL),
    "XMinioStorageFull": ("is full", _FULL),
    "StorageFull": ("is full", _FULL),
    "InsufficientStorage": ("is full", _FULL),
    "SlowDown": ("asks to be asked less often", "Try again in a while."),
    "ServiceUnavailable": ("can not answer at the moment", "Try again in a while."),
    "InternalError": ("has failed inside", "Look at its own log."),
}
_REGION = {"AuthorizationHeaderMalformed", "InvalidRegion", "IllegalLocationConstraintException", "PermanentRedirect"}
_CLOCK = {"RequestTimeTooSkewed", "RequestExpired"}


@contextmanager
def translated(settings: StoreSettings) -> Iterator[None]:
    """What the client raises becomes StoreUnavailable, with what is the matter and what to do."""
    try:
        yield
    except (MinioException, urllib3.HTTPError, ParseError, UnicodeDecodeError) as error:
        raise unavailable(error, settings) from error


def unavailable(error: Exception, settings: StoreSettings) -> StoreUnavailable:
    if isinstance(error, S3Error):
        matter, hint = _refused(error, settings)
    elif isinstance(error, urllib3.HTTPError):
        matter, hint = _unreached(error, settings)
    else:
        matter, hint = _strange(error, settings)
    return StoreUnavailable(f"The S3 store {settings.endpoint} {matter}.", hint=hint)


def _refused(error: S3Error, settings: StoreSettings) -> tuple[str, str | None]:
    code = error.code or "?"
    said = (
        f" ({code}: {error.message.strip().rstrip('.')})" if error.message and error.message.strip() else f" ({code})"
    )
    headers = error.response.headers if error.response is not None else {}
    if code in _CLOCK:
        return f"does not accept this machine's clock: {_apart(headers.get('date'))}{said}", _SET_CLOCK
    if region := headers.get("x-amz-bucket-region"):
        return f"has the bucket {settings.bucket} in the region {region}{said}", f"Set store.region to {region}."
    if code in _REGION:
        return f"is of another region than {settings.region or 'us-east-1'}{said}", "Set store.region to its own."
    if error.response is not None and error.response.status == 507:
        return f"is full{said}", _FULL
    matter, hint = _SAID.get(code, ("refuses that", "Look at its own log."))
    return matter.format(bucket=settings.bucket) + said, hint.format(bucket=settings.bucket)


_SET_CLOCK = "Set the clocks of this machine and of the store by a time server (NTP)."


def _apart(date: str | None) -> str:
    try:
        seconds = (datetime.now(UTC) - parsedate_to_datetime(date or "")).total_seconds()
    except (ValueError, TypeError):
        return "it is too far from its own"
    return f"it is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} its own"


def _unreached(error: urllib3.HTTPError, settings: StoreSettings) -> tuple[str, str | None]:
    cause = error.reason if isinstance(error, urllib3.MaxRetryError) and error.reason else error
    if isinstance(cause, urllib3.SSLError):
        return _not_secure(str(cause))
    if isinstance(cause, urllib3.NameResolutionError):
        return "has a name that nobody knows", "Check store.endpoint."
    if isinstance(cause, urllib3.NewConnectionError):
        return f"is out of reach: {_system(cause)}", "Is it running? Check store.endpoint."
    if isinstance(cause, urllib3.ConnectTimeoutError):
        return "does not answer: no connection within the time-out", "Check store.endpoint; is a firewall in between?"
    if isinstance(cause, urllib3.TimeoutError):
        return "took the request and did not answer in time", "Is it overloaded, or frozen?"
    hint = "Is it running?" if settings.secure else f"Is it running? {_PLAIN_HINT}"
    return f"broke off: {_system(cause)}", hint


def _not_secure(said: str) -> tuple[str, str]:
    if "WRONG_VERSION_NUMBER" in said or "record layer" in said.lower():
        return "does not speak TLS", "Set store.secure to false, or name the port that does."
    if "CERTIFICATE_VERIFY_FAILED" in said:
        reason = said.partition("certificate verify failed: ")[2].partition(" (_ssl")[0] or "it is not trusted"
        return (
            f"has a certificate that is not accepted: {reason}",
            "SSL_CERT_FILE names a file with the certificate of its authority; the endpoint's name must stand in it.",
        )
    return f"could not agree on TLS: {said.rstrip('.')}", "Set store.secure to false if it is a plain port."


def _strange(error: Exception, settings: StoreSettings) -> tuple[str, str | None]:
    if isinstance(error, ServerError) and error.status_code == 507:
        return "is full", _FULL
    if isinstance(error, InvalidResponseError) and "HTTPS server" in str(error):
        return "speaks TLS only", "Set store.secure to true."
    if status := re.search(r"(?:Response|status) code:? (50[0234])", str(error)):
        return f"has failed: status {status[1]}", "Is what stands in front of it running, and it itself? See its log."
    return "answers, but not the way an S3 does", "Check store.endpoint: is that the port of a web page?"


def _system(error: BaseException) -> str:
    """What the system said, without addresses in memory: `Connection refused`."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror
        seen = seen.__cause__ or seen.__context__
    return next((str(arg) for arg in error.args if isinstance(arg, str)), type(error).__name__).rstrip(".")
