"""Tokens, session keys and invitations: random, told once, kept as SHA-256. They are long enough for a fast hash."""

import hashlib
import secrets

#: What a token begins with, so that scanners of source code know one when they see it.
TOKEN_PREFIX = "rctl_"
INVITATION_PREFIX = "rctli_"
#: What a webhook signs with: kept as it is, for it takes part in each signature.
SIGNING_PREFIX = "rctlw_"


def new_secret(prefix: str = "") -> str:
    """256 random bits behind a prefix."""
    return prefix + secrets.token_urlsafe(32)


def token_digest(secret: str) -> str:
    """By what the database knows it."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
