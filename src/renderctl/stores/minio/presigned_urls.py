"""Presigned PUT URLs for a file of one size: the size is signed, so that S3 refuses a larger file.

minio.Minio signs the host only. This is AWS Signature Version 4 with query parameters, for the headers `content-length`
and `host` (docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html).
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import SplitResult, quote, urlunsplit

_SIGNED = "content-length;host"


@dataclass(frozen=True)
class Signer:
    """The credentials and the region of a signature."""

    access_key: str
    secret_key: str
    region: str
    session_token: str | None = None


def presigned_put(url: SplitResult, signer: Signer, *, size: int, at: datetime, expires_s: int) -> str:
    """Return `url`, signed for a PUT of exactly `size` bytes, valid for `expires_s` seconds from `at` on."""
    day, timestamp = at.strftime("%Y%m%d"), at.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{day}/{signer.region}/s3/aws4_request"
    parameters = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{signer.access_key}/{scope}",
        "X-Amz-Date": timestamp,
        "X-Amz-Expires": str(expires_s),
        "X-Amz-SignedHeaders": _SIGNED,
    }
    if signer.session_token is not None:
        parameters["X-Amz-Security-Token"] = signer.session_token
    query = _query(parameters)
    headers = f"content-length:{size}\nhost:{url.netloc}\n"
    request = "\n".join(["PUT", url.path, query, headers, _SIGNED, "UNSIGNED-PAYLOAD"])
    text = "\n".join(["AWS4-HMAC-SHA256", timestamp, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{signer.secret_key}".encode()
    for part in (day, signer.region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    return urlunsplit(url._replace(query=f"{query}&X-Amz-Signature={signature}"))


def _query(parameters: Mapping[str, str]) -> str:
    """Return the canonical query string: sorted and percent-encoded."""
    return "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in sorted(parameters.items()))
