"""Second factors of users."""

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field

from renderctl.core.people import TotpStatus
from renderctl.farm.people.totp import RecoveryCodes, TotpEnrollment
from renderctl.server.api import new_router
from renderctl.server.api.people import Otp, Password, UserName, changed
from renderctl.server.authentication import Commands
from renderctl.server.responses import json_response

router = new_router("totp")


class OwnPasswordBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    password: Password | None = Field(None, description="One's own, when it is one's own second factor.")


class CodeBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    otp: Otp


@router.get("/users/{name}/totp", response_model=TotpStatus)
def totp_status(verbs: Commands, name: UserName) -> Response:
    """Say whether a user has a second factor."""
    return json_response(verbs.totp_status(name))


@router.post("/users/{name}/totp", response_model=TotpEnrollment, status_code=201)
def enroll_totp(verbs: Commands, name: UserName, body: OwnPasswordBody) -> Response:
    """Begin to set up one's own second factor: its secret is told this once, and counts when it is confirmed."""
    return json_response(verbs.enroll_totp(name, password=body.password), 201)


@router.post("/users/{name}/totp/confirm", response_model=RecoveryCodes)
def confirm_totp(request: Request, verbs: Commands, name: UserName, body: CodeBody) -> Response:
    """Show a code of it: from now on a log-in takes one. The recovery codes are told this once."""
    return changed(request, verbs.confirm_totp(name, body.otp))


@router.post("/users/{name}/totp/disable", response_model=TotpStatus)
def disable_totp(request: Request, verbs: Commands, name: UserName, body: OwnPasswordBody) -> Response:
    """Have the password alone let a user in."""
    return changed(request, verbs.disable_totp(name, password=body.password))
