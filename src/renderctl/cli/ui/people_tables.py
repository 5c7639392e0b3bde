"""People, and what they did, as a person reads it."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypedDict

from rich.console import RenderableType

from renderctl.cli.ui.escaping import escape_line
from renderctl.cli.ui.table import counted, moment, new_table, size

if TYPE_CHECKING:
    from renderctl.core.actors import Actor
    from renderctl.core.audit import AuditEntry, AuditVerdict, RotatedKey
    from renderctl.core.people import Invitation, Project, Token, TotpStatus, User, WebSession
    from renderctl.core.quotas import Amount, QuotaReport
    from renderctl.farm.people.tokens import NewToken
    from renderctl.farm.people.totp import RecoveryCodes, TotpEnrollment
    from renderctl.farm.people.users import Invited


class Identity(TypedDict):
    """Who one is to the farm."""

    name: str
    role: str
    projects: list[str]
    via: str
    scope: str
    address: str | None


class AdoptedEntries(TypedDict):
    """How many entries of the audit log were signed."""

    entries: int


def users(found: "Sequence[User]") -> RenderableType:
    """One line a user."""
    if not found:
        return "There are no users. `renderctl users add NAME` adds one."
    table = new_table("user", "role", "projects", "password", "since", "")
    for person in found:
        password = "yes" if person.has_password else "none"
        state = "disabled" if person.disabled_at else ""
        table.add_row(
            person.name, person.role.value, ", ".join(person.projects), password, _time(person.created_at), state
        )
    return table


def user(each: "User") -> str:
    state = ", disabled" if each.disabled_at else ""
    return f"{each.name}: {each.role}{state}; projects: {', '.join(each.projects) or 'none'}"


def totp_status(each: "TotpStatus") -> str:
    """Whether a log-in takes a code."""
    if each.confirmed_at is None:
        return f"{each.user} has no second factor."
    left = counted(each.recovery_codes, "recovery code")
    return f"{each.user} has a second factor since {_time(each.confirmed_at)}; {left} left."


def totp_enrollment(each: "TotpEnrollment") -> str:
    """What goes into an app, and what comes next."""
    then = f"Then `renderctl users totp confirm {each.user}` within 15 minutes, with a code that the app shows."
    return f"Type this into an app, or open the address on the phone:\n{each.secret}\n{each.uri}\n{then}"


def recovery_codes(each: "RecoveryCodes") -> str:
    """Codes for whoever has lost the app."""
    text = f"From now on a log-in of {each.user} takes a code. Each of these is good once without the app; keep them:"
    return "\n".join([text, *each.codes])


def invited(each: "Invited") -> str:
    """The code alone, for whoever hands it on."""
    return str(each.code)


def invitations(found: "Sequence[Invitation]") -> RenderableType:
    """One line an invitation."""
    if not found:
        return "No invitation is open. `renderctl users invite` makes one."
    table = new_table("id", "role", "projects", "by", "good until")
    for invitation in found:
        table.add_row(
            invitation.id,
            invitation.role.value,
            ", ".join(invitation.projects),
            invitation.created_by,
            _time(invitation.expires_at),
        )
    return table


def projects(found: "Sequence[Project]") -> RenderableType:
    """One line a project."""
    if not found:
        return "There are no projects. `renderctl projects add NAME` adds one."
    table = new_table("project", "members", "pools")
    for listed in found:
        table.add_row(listed.name, ", ".join(listed.members) or "-", ", ".join(listed.pools) or "all")
    return table


def project(each: "Project") -> str:
    return f"{each.name}: members {', '.join(each.members) or 'none'}; pools {', '.join(each.pools) or 'all'}"


def quotas(found: "Sequence[QuotaReport]") -> RenderableType:
    """One line a user or project: what is used, of what is allowed."""
    table = new_table("", "open jobs", "their tasks", "stored", "on its way", "webhooks")
    for report in found:
        counts = [_amount(amount, _number) for amount in (report.jobs, report.tasks)]
        bytes_ = [_amount(amount, size) if amount else "" for amount in (report.stored_bytes, report.incoming_bytes)]
        table.add_row(f"{report.kind} {report.name}", *counts, *bytes_, _amount(report.webhooks, _number))
    return table


def _number(count: int) -> str:
    return f"{count:,}"


def _amount(amount: "Amount", shown: Callable[[int], str]) -> str:
    allowed = "no limit" if amount.allowed is None else shown(amount.allowed)
    return f"{shown(amount.used)} of {allowed}"


def tokens(found: "Sequence[Token]") -> RenderableType:
    """One line a token."""
    if not found:
        return "There are no tokens. `renderctl tokens create NAME` makes one."
    table = new_table("id", "user", "name", "scope", "good until", "last used")
    for token in found:
        used = _time(token.used_at) if token.used_at else "never"
        table.add_row(token.id, token.user, token.name, token.scope.value, _good_until(token), used)
    return table


def new_token(each: "NewToken") -> str:
    """The token alone, for scripts that read it."""
    return str(each.secret)


def sessions(found: "Sequence[WebSession]") -> RenderableType:
    """One line a log-in from a browser."""
    if not found:
        return "Nobody is logged in from a browser."
    table = new_table("id", "user", "begun", "from", "last seen", "from", "")
    for session in found:
        seen = _time(session.seen_at) if session.seen_at else "never"
        begun, present = _time(session.created_at), "this one" if session.present else ""
        table.add_row(session.id, session.user, begun, session.address or "", seen, session.seen_from or "", present)
    return table


def ended_sessions(found: "Sequence[WebSession]") -> str:
    """What is let in no more."""
    return (
        "\n".join(f"Session {session.id} of {session.user} is ended." for session in found) or "There was none to end."
    )


def me(document: Identity) -> str:
    came = {"local": "here, with the keys to the farm", "token": "by a token", "session": "by a password"}
    within = f"; projects: {', '.join(document['projects'])}" if document["projects"] else ""
    return f"{document['name']}: {document['role']}{within}; came {came[document['via']]}"


def audit_lines(found: "Sequence[AuditEntry]") -> str:
    """One line an entry."""
    return "\n".join(map(audit_line, found)) or "Nothing of that kind was done."


def audit_line(entry: "AuditEntry") -> str:
    """When, who, from where, what, to what, to what end, and how."""
    whence = " ".join(filter(None, [entry.via, entry.address]))
    end = "" if entry.outcome in (None, "done") else f" {entry.outcome.upper()}"
    details = {key: value for key, value in entry.details.items() if value not in (None, [], {})}
    how = f"  {json.dumps(details, ensure_ascii=False)}" if details else ""
    return escape_line(
        f"{_time(entry.at)}  {entry.actor} ({whence or entry.kind})  {entry.action} {entry.subject}{end}{how}"
    )


def audit_verdict(each: "AuditVerdict") -> str:
    """What the verification has found."""
    lines = [
        f"Entry {problem.seq}: {problem.what}." if problem.seq else f"{problem.what}." for problem in each.problems
    ]
    lines.append(f"Looked at {counted(each.entries + each.before, 'line')} of the audit log.")
    if each.head is not None:
        lines.append(f"It ends at {each.head.seq}:{each.head.mac}")
    return "\n".join(lines)


def adopted_entries(document: AdoptedEntries) -> str:
    """How many are verified from now on."""
    return f"Signed {counted(document['entries'], 'line')} from before the chain; `renderctl audit verify` covers them."


def rotated_key(each: "RotatedKey") -> str:
    """The names of the keys, as entries have them."""
    return f"The audit log is signed with the key {each.key} from now on; {each.former} is kept to verify with."


def whoami_document(actor: "Actor") -> Identity:
    """Who one is, for programs."""
    return {
        "name": actor.name,
        "role": actor.role,
        "projects": sorted(actor.projects),
        "via": actor.via,
        "scope": actor.scope,
        "address": actor.address,
    }


def _good_until(token: "Token") -> str:
    if token.revoked_at is not None:
        return "revoked"
    if token.expires_at is None:
        return "for ever"
    return "expired" if token.expires_at <= datetime.now(UTC) else _time(token.expires_at)


def _time(at: datetime) -> str:
    return moment(at.isoformat())
