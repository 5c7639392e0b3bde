"""The pages: rendered on the server, from the same verbs as the API.

context.py  who looks at a page, and how it is answered     templating.py  templates and their filters
one file per noun for the routes     templates/  the pages     static/  a style sheet and scripts, without a build step
"""

from pathlib import Path

from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from renderctl.server.web import account, audit, auth, frame, job, jobs, models, people, submit, workers

_NOUNS = (auth, jobs, job, frame, models, submit, workers, people, account, audit)


class _Static(StaticFiles):
    """Static files, which a browser revalidates each time: they are sent only when they have changed."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


#: The routes of the pages and of their static files.
ROUTES = [
    *(route for noun in _NOUNS for route in noun.router.routes),
    Mount("/static", _Static(directory=Path(__file__).parent / "static"), name="static"),
]
