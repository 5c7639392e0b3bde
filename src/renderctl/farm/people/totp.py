"""Second factors: time-based codes (TOTP, RFC 6238) of an app, asked for at a log-in besides the password."""

import base64
import hmac
import re
import secrets
from dataclasses import dataclass, field

import pyotp

from renderctl.core.actors import Actor, Via
from renderctl.core.errors import CodeNeeded, Conflict, LoginRefused
from renderctl.core.people import TotpSecret, TotpStatus
from renderctl.core.permissions import Subject
from renderctl.farm import Farm
from renderctl.farm.authorization import require
from renderctl.farm.people.login_throttle import count, forget
from renderctl.farm.people.secrets import token_digest
from renderctl.farm.people.users import require_own_password

#: What an app shows as the place that the codes are for.
_ISSUER = "renderctl"
#: Codes of how many steps of 30 seconds before and after now are taken: clocks of phones differ.
_DRIFT = 1
#: Codes for whoever has lost their second factor, and how many random bytes each has: 80 bits bear a fast hash.
_RECOVERY_CODES, _RECOVERY_BYTES = 10, 10
#: Wrong codes that cost no waiting, of whoever sets up a second factor.
_FREE_CODES = 5
_WRONG = "The code is wrong, or was used before."


@dataclass(frozen=True)
class TotpEnrollment:
    """A new secret, which is shown this once: an app makes codes of it. It counts once one of them was shown."""

    user: str
    secret: str = field(repr=False)  #: base32, to be typed
    uri: str = field(repr=False)  #: `otpauth://…`, to be shown as a QR code or opened


@dataclass(frozen=True)
class RecoveryCodes:
    """Codes each of which lets a user in once who has lost their second factor; they are shown this once."""

    user: str
    codes: tuple[str, ...] = field(repr=False)


def totp_status(farm: Farm, actor: Actor, name: str) -> TotpStatus:
    """Whether a user has a second factor. Raises NotFound, NotAllowed."""
    require(farm, actor, "totp.see", _of(name))
    return farm.repository.second_factors.status(name)


def enroll_totp(farm: Farm, actor: Actor, name: str, *, password: str | None = None) -> TotpEnrollment:
    """A new secret for one's own second factor, to be confirmed within 15 minutes; one shows one's password.

    Nobody sets one up for others, but locally. Raises NotFound, NotAllowed, LoginRefused, TooManyGuesses, Conflict.
    """
    _admit_owner(farm, "totp.enroll", name, actor)
    if actor.via is not Via.LOCAL:
        require_own_password(farm, actor, password or "", "totp.enroll")
    secret = pyotp.random_base32()
    farm.repository.second_factors.begin(name, secret, actor=actor)
    return TotpEnrollment(name, secret, pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=_ISSUER))


def confirm_totp(farm: Farm, actor: Actor, name: str, code: str) -> RecoveryCodes:
    """Show a code of the new secret: from now on each log-in takes one. Raises NotAllowed, LoginRefused, Conflict."""
    _admit_owner(farm, "totp.enroll", name, actor)
    pending = farm.repository.second_factors.get(name)
    if pending is None or pending.is_confirmed:
        hint = f"`renderctl users totp enable {name}` begins it; it is confirmed within 15 minutes."
        raise Conflict(f"{name} is not about to set up a second factor.", hint=hint)
    counted = {f"totp {token_digest(name)}": _FREE_CODES}
    count(farm, counted)
    step = _step_of(farm, pending, code)
    if step is None:
        farm.repository.login_attempts.record_refusal(actor, "totp.confirm", name, "the code is wrong")
        raise LoginRefused(_WRONG, hint="Is the clock of the phone right?")
    codes = tuple(_recovery_code() for _ in range(_RECOVERY_CODES))
    digests = [_recovery_digest(code) for code in codes]
    farm.repository.second_factors.confirm(name, pending.secret, step, digests=digests, actor=actor)
    forget(farm, counted)
    return RecoveryCodes(name, codes)


def disable_totp(farm: Farm, actor: Actor, name: str, *, password: str | None = None) -> TotpStatus:
    """Have the password alone let a user in: one's own, which takes the password, or another's as an admin.

    Raises NotFound, NotAllowed, LoginRefused, TooManyGuesses.
    """
    require(farm, actor, "totp.disable", _of(name))
    if actor.name == name and actor.via is not Via.LOCAL:
        require_own_password(farm, actor, password or "", "totp.disable")
    return farm.repository.second_factors.disable(name, actor=actor)


def check_second_factor(farm: Farm, name: str, code: str | None, *, whoever: Actor) -> bool:
    """Have whoever knows the password of a user show a code, where the user has a second factor; whether they have.

    Each code lets in once. Raises CodeNeeded without one, LoginRefused for a wrong one, which the audit log is told of.
    """
    known = farm.repository.second_factors.get(name)
    if known is None or not known.is_confirmed:
        return False
    if not code:
        raise CodeNeeded(hint="An app shows it; a recovery code is good, too.")
    if _is_totp(code):
        step = _step_of(farm, known, code)
        is_right = step is not None and farm.repository.second_factors.use_step(name, step)
    else:
        is_right = farm.repository.second_factors.use_recovery_code(name, _recovery_digest(code), actor=whoever)
    if not is_right:
        farm.repository.login_attempts.record_refusal(
            whoever, "session.open", name, "the code of the second factor is wrong"
        )
        raise LoginRefused(_WRONG)
    return True


def _step_of(farm: Farm, known: TotpSecret, code: str) -> int | None:
    """The step of time whose code it is, if none of that step or a later one was used."""
    totp, shown = pyotp.TOTP(known.secret), _plain(code).encode()
    now = totp.timecode(farm.repository.time())
    for step in range(now - _DRIFT, now + _DRIFT + 1):
        if step > known.last_step and hmac.compare_digest(totp.generate_otp(step).encode(), shown):
            return step
    return None


def _is_totp(code: str) -> bool:
    return re.fullmatch(r"[0-9]{6}", _plain(code)) is not None


def _plain(code: str) -> str:
    """As it was made: people write spaces and dashes where there are none."""
    return re.sub(r"[\s-]", "", code).lower()


def _recovery_code() -> str:
    text = base64.b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode().lower()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def _recovery_digest(code: str) -> str:
    return token_digest(_plain(code))


def _admit_owner(farm: Farm, action: str, name: str, actor: Actor) -> None:
    """Let the user themselves do it, and whoever holds the parts of the farm."""
    owner = actor.name if actor.via is Via.LOCAL else name
    require(farm, actor, action, Subject("user", name, owner=owner))


def _of(name: str) -> Subject:
    return Subject("user", name, owner=name)
