"""`doctor` of a machine that works through a server: the way there, who one is, and the Blenders of this machine."""

from renderctl.client.connection import ServerConnection
from renderctl.client.people import whoami
from renderctl.client.responses import field_of, fields
from renderctl.farm.doctor.blenders import blenders
from renderctl.farm.doctor.findings import Finding, check_part


def doctor(server: ServerConnection) -> list[Finding]:
    """What can be found out from here; what the server's own parts are like, its own `doctor` tells."""
    return [
        check_part("server", lambda: f"{server.api.url}, version {_version(server)}"),
        check_part("login", lambda: _login(server)),
        *blenders(server.local_farm),
    ]


def _version(server: ServerConnection) -> str:
    about = fields(server.api.get("/openapi.json")).get("info")
    return field_of(fields(about), "version", str)


def _login(server: ServerConnection) -> str:
    actor = whoami(server)
    return f"{actor.name}, {actor.role}, projects: {', '.join(sorted(actor.projects)) or 'none'}"
