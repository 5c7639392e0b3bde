"""Second factors of users."""

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field

from renderctl.core.people import TotpStatus
from renderctl.farm.people.totp import RecoveryCodes, TotpEnrollment
from renderctl.server.api import new_router
from renderctl.server.api.people import Otp, Password, UserName, after_permission_change
from renderctl.server.authentication import Commands
from renderctl.server.responses import json_response

router = new_router("totp")


class OwnPasswordBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    password: Password | None = Field(None, description="One's own password, for one's own second factor.")


class CodeBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    otp: Otp


@router.get("/users/{name}/totp", response_model=TotpStatus)
def totp_status(verbs: Commands, name: UserName) -> Response:
    """Show whether a user has a second factor."""
    return json_response(verbs.totp_status(name))


@router.post("/users/{name}/totp", response_model=TotpEnrollment, status_code=201)
def enroll_totp(verbs: Commands, name: UserName, body: OwnPasswordBody) -> Response:
    """Begin to enroll one's own second factor; its secret is shown only now, and it must be confirmed."""
    return json_response(verbs.enroll_totp(name, password=body.password), 201)


@router.post("/users/{name}/totp/confirm", response_model=RecoveryCodes)
def confirm_totp(request: Request, verbs: Commands, name: UserName, body: CodeBody) -> Response:
    """Confirm the second factor with one of its codes. The recovery codes are shown only now."""
    return after_permission_change(request, verbs.confirm_totp(name, body.otp))


@router.post("/users/{name}/totp/disable", response_model=TotpStatus)
def disable_totp(request: Request, verbs: Commands, name: UserName, body: OwnPasswordBody) -> Response:
    """Disable the second factor of a user."""
    return after_permission_change(request, verbs.disable_totp(name, password=body.password))
