"""`docs/reference/api.md`, made from the description of the API: `python -m tests.server.reference`."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from renderctl.server.app import create_app
from renderctl.server.errors import STATUS
from renderctl.wiring import LocalCommands
from tests.farms import ACTOR, close, make_farm

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "api.md"
_HEAD = """# The HTTP API

Made from the server's own description by `make docs`; `/api/v1/openapi.json` has all of it. Requests and responses are
JSON documents. Errors are those that `--json` prints: `{"error": {"code": …, "message": …, "hint": …}}`.

**Authentication.** Send a token: `Authorization: Bearer TOKEN`. A browser logs in with `POST /api/v1/session` and gets
a cookie that scripts cannot read; requests that write also need the header `X-CSRF-Token`, whose value `GET
/api/v1/session` returns.

**Pages.** Lists of jobs, tasks, attempts and outputs have pages: `limit`, and `before` or `after` with the value that
the last page returned.

**Idempotency.** `POST /api/v1/jobs` with an `Idempotency-Key` creates one job, however often it is sent.

**Files and streams.** Files support `Range`, `If-Range` and `If-None-Match`. `/api/v1/events` and
`/api/v1/jobs/{job}/logs/live` are server-sent events.

**Uploads.** `POST /api/v1/uploads/wanted` returns the digests that the server lacks. `PUT
/api/v1/uploads/{digest}?size=N` sends one file, in pieces with `&offset=M` if you like; `GET` returns how much has
arrived. If the response contained a `url`, you may PUT the file there instead, and then call `…/promote`. `POST
/api/v1/models` creates a model from uploaded files. You need not send files that you may read already; files that
others have sent you have to send as well.
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
    return "## Errors\n\n| status | code, and more specific ones |\n|---|---|\n" + "\n".join(rows)


def _kinds() -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for kind, status in STATUS.items():
        found.setdefault(status, []).append(f"`{kind().code}`")
    return found


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
