"""`docs/reference/api.md`, made from the description of the API: `python -m tests.server.reference`."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from renderctl.server.app import create_app
from renderctl.server.errors import STATUS
from renderctl.wiring import LocalCommands
from tests.farms import ACTOR, close, make_farm

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "api.md"
_HEAD = """# The API

Made from the server's own description, which says all of it: `/api/v1/openapi.json`. What answers and what is sent are
JSON documents; errors are those that `--json` prints: `{"error": {"code": …, "message": …, "hint": …}}`.

Show a token: `Authorization: Bearer TOKEN`. A browser logs in with `POST /api/v1/session` and keeps a cookie that
scripts can not read; what writes needs the header `X-CSRF-Token` as well, whose value `GET /api/v1/session` tells.

Lists of jobs, tasks, attempts and outputs come in pages: `limit`, and `before` or `after` with what the last page said.
`POST /api/v1/jobs` with an `Idempotency-Key` makes one job however often it is sent. Files answer to `Range`,
`If-Range` and `If-None-Match`. `/api/v1/events` and `/api/v1/jobs/{job}/logs/live` are server-sent events.

A file is sent so: `POST /api/v1/uploads/wanted` says which digests are wanted; `PUT /api/v1/uploads/{digest}?size=N`
sends one, in pieces with `&offset=M` if you like, and `GET` says how much is there; where a `url` was told, the file
may be PUT there instead and `…/promote` tells of it. `POST /api/v1/models` makes a model of what was sent. What you may
read already need not be sent; what others have sent you have to send as well.
"""


def page() -> str:
    """The page as it should be."""
    with TemporaryDirectory() as folder:
        farm = make_farm(Path(folder))
        described = create_app(LocalCommands(farm.settings, ACTOR, farm)).openapi()
        close(farm)
    parts = [_HEAD, _statuses()]
    by_noun: dict[str, list[str]] = {}
    for path, methods in described["paths"].items():
        for method, said in methods.items():
            by_noun.setdefault(said["tags"][0], []).append(_row(method, path, said))
    for noun, rows in by_noun.items():
        parts.append(f"## {noun.capitalize()}\n\n| route | what it does | answers |\n|---|---|---|\n" + "\n".join(rows))
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _row(method: str, path: str, said: dict[str, Any]) -> str:
    answers = ", ".join(status for status in said["responses"] if status.startswith(("2", "3")) or status == "416")
    return f"| `{method.upper()} {path}` | {' '.join(said['description'].split())} | {answers} |"


def _statuses() -> str:
    rows = [f"| {status} | {', '.join(kinds)} |" for status, kinds in _kinds().items()]
    return "## Errors\n\n| status | code, and what is below it |\n|---|---|\n" + "\n".join(rows)


def _kinds() -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for kind, status in STATUS.items():
        found.setdefault(status, []).append(f"`{kind().code}`")
    return found


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
