"""`doctor` of a machine that works through a server: the way there, who one is, and the Blenders of this machine."""

from renderctl.client.connection import ServerConnection
from renderctl.farm.doctor.blenders import blenders
from renderctl.farm.doctor.findings import Finding, tried


def doctor(server: ServerConnection) -> list[Finding]:
    """What can be found out from here; what the server's own parts are like, its own `doctor` tells."""
    return [
        tried("server", lambda: f"{server.api.url}, version {_version(server)}"),
        tried("login", lambda: _login(server)),
        *blenders(server.bench),
    ]


def _version(server: ServerConnection) -> str:
    return str(server.api.get("/openapi.json")["info"]["version"])


def _login(server: ServerConnection) -> str:
    actor = server.actor
    return f"{actor.name}, {actor.role}, projects: {', '.join(sorted(actor.projects)) or 'none'}"
