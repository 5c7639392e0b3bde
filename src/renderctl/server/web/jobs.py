"""The jobs of the farm: the page that one comes to first."""

from fastapi import Response

from renderctl.core.states import JobState
from renderctl.server.web.context import CurrentPage, new_router
from renderctl.server.web.pagination import FilterText, url_with

router = new_router()
_A_PAGE = 50


@router.get("/")
def jobs(
    context: CurrentPage,
    state: FilterText = "",
    owner: FilterText = "",
    q: FilterText = "",
    project: FilterText = "",
    before: FilterText = "",
) -> Response:
    """Jobs, the newest first: all, or those that are asked for."""
    states = tuple(filter(None, state.split(",")))
    asked = {"owner": owner or None, "project": project or None, "before": before or None}
    found = context.verbs.jobs(states, **asked, search=q or None, limit=_A_PAGE)
    said = {"state": state, "owner": owner, "q": q, "project": project}
    older = {**said, "before": found[-1]["id"]} if len(found) == _A_PAGE else None
    return context.show(
        "jobs",
        jobs=found,
        said=said,
        before=before,
        states=tuple(JobState),
        projects=[each.name for each in context.verbs.list_projects()],
        older=url_with("/", older) if older else None,
        newest=url_with("/", said),
        filtered=any(said.values()),
    )
