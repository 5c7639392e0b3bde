"""The farm in a browser: pages made on the server, of the same verbs as the API's answers.

visiting.py  who looks, what he may do, and the page that he gets      rendering.py  templates and how they write things
one file a noun for the routes      templates/  the pages      static/  one style sheet, a few scripts; nothing is built
"""

from pathlib import Path

from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from renderctl.server.web import account, audit, auth, frame, job, jobs, models, people, submit, workers

_NOUNS = (auth, jobs, job, frame, models, submit, workers, people, account, audit)


class _Static(StaticFiles):
    """Asked for anew each time, and sent only when it has changed."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


#: The pages, and what they are drawn with.
ROUTES = [
    *(route for noun in _NOUNS for route in noun.router.routes),
    Mount("/static", _Static(directory=Path(__file__).parent / "static"), name="static"),
]
