"""Every route × every role × own, same project, other, nobody: what the permission table says, and nothing else."""

import importlib
import pkgutil
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient

from renderctl.core.actors import Actor, Role, Scope
from renderctl.core.audit import AuditFilter
from renderctl.core.clocks import SystemClock
from renderctl.core.jobs import Input, Job
from renderctl.core.new_model import NewModel
from renderctl.core.permissions import TABLE, Relation, Verdict
from renderctl.core.webhooks import Event
from renderctl.farm.jobs.submit import SubmitRequest, submit
from renderctl.farm.people.secrets import token_digest
from renderctl.repository.webhooks.outbox import add_event
from renderctl.server import api
from renderctl.server.app import create_app
from renderctl.wiring import LocalCommands
from tests.farms import ACTOR, FACTS, close, given_worker, make_farm, work_off
from tests.server.conftest import Served
from tests.server.routes import API, ASIDE, DIGEST, LISTED, OPEN, OWN, ROUTES, SCENE, Route

pytestmark = pytest.mark.slow
_HERE, _THERE = "films", "games"
_numbers = count(1)


class Matrix:
    """A farm with somebody of each role in one project, a mate of theirs, and a stranger in another."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.headers = {role: served.person(f"the-{role}", role, _HERE) for role in Role}
        served.farm.repository.projects.set_pools(_HERE, ["default"], actor=ACTOR)
        served.person("mate", Role.ARTIST, _HERE)
        served.person("stranger", Role.ARTIST, _THERE)
        served.person("nobody", Role.VIEWER, "extra")
        given_worker(served.farm)
        file = served.farm.settings.data_dir / "given.blend"
        file.write_bytes(SCENE)
        served.farm.store.put(file, DIGEST)
        self.own = self._model("own", _HERE, Actor("mate", role=Role.ADMIN, projects=frozenset([_HERE]))).id

    def given(self, role: Role, relation: Relation, about: str, path: str = "") -> dict[str, str]:
        """Something that is in this relation to whoever has the role, and the names of all that goes with it."""
        owner = {Relation.OWN: f"the-{role}", Relation.PROJECT: "mate", Relation.OTHER: "stranger"}[relation]
        project = _THERE if relation is Relation.OTHER else _HERE
        name, actor = f"m{next(_numbers)}", Actor(owner, role=Role.ADMIN, projects=frozenset([project]))
        model = self._model(name, _HERE if about == "project" else project, actor).id
        request = SubmitRequest(frames="1", project=project, pool=name)
        job = submit(self.served.farm, actor, self._model(f"{name}-job", project, actor), request).job
        token = ""
        if about in ("token", "list"):
            token = self.served.tokens[self.served.token(owner)["Authorization"].removeprefix("Bearer ")]
        given = {"job": job.id, "task_id": f"{job.id}-1", "number": "1", "project": project, "user": owner}
        given |= {"digest": DIGEST, "worker": "w1", "token": token, "model": model, "attempt_id": "none"}
        if about in ("webhook", "list", "token"):
            given |= self._webhook(job, actor)
        if about in ("session", "list", "token"):
            given["session"] = self._session(owner)
        if "{invitation}" in path or about == "token":
            told: dict[str, Any] = {"lasts_s": 3600.0, "actor": ACTOR}
            given["invitation"] = self.served.farm.repository.invitations.add(name, Role.VIEWER, (), **told).id
        given["name"] = "extra" if "/projects/" in path else {"job": "0001.png", "user": owner}.get(about, "nobody")
        given |= {"own": self.own, "home": _HERE, "pool": "default" if relation is Relation.PROJECT else "slow"}
        if "removable" in path:
            self.served.farm.repository.jobs.cancel(job.id, actor=ACTOR)
        if any(part in path for part in ("{attempt_id}", "{number}", "/logs")):
            while not (tries := self.served.farm.repository.attempts.of_job(job.id)):
                work_off(self.served.farm, name="w2", pools=(name,), idle_exit_s=0.05)
            given["attempt_id"] = tries[0].id
        return given

    def _session(self, name: str) -> str:
        """A log-in of somebody's from a browser."""
        secret = f"session {next(_numbers)}"
        told: dict[str, Any] = {"lasts_s": 3600.0, "address": None}
        return str(self.served.farm.repository.sessions.open(name, token_digest(secret), "csrf", **told).session)

    def _webhook(self, job: Job, actor: Actor) -> dict[str, str]:
        """A webhook that somebody has set up for a job, at a door that is closed, and something that it was told."""
        told: dict[str, Any] = {"project": job.project, "job_id": job.id, "actor": actor}
        repository = self.served.farm.repository
        webhook = repository.webhooks.add("http://127.0.0.1:9/", "secret", tuple(Event), **told)
        repository.database.write(lambda connection: add_event(connection, Event.TASK_FAILED, job.id))
        return {"webhook": webhook.id, "delivery": repository.deliveries.newest([webhook.id])[0].id}

    def _model(self, name: str, project: str, actor: Actor) -> Any:
        inputs = (Input(f"{name}.blend", DIGEST, len(SCENE)),)
        new = NewModel(name, inputs[0].path, name, FACTS, inputs, project)
        return self.served.farm.repository.models.add(new, actor=actor)[0]


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    farm = make_farm(tmp_path_factory.mktemp("matrix") / "data")
    app = create_app(LocalCommands(farm.settings, ACTOR, farm))
    with TestClient(app, base_url="http://farm.test", raise_server_exceptions=False) as client:
        app.state.stopping.set()  # so that what is followed ends at once
        yield Matrix(Served(farm, client))
    close(farm)


def described(matrix: Matrix) -> set[tuple[str, str]]:
    paths: dict[str, Any] = matrix.served.client.get(f"{API}/openapi.json").json()["paths"]
    return {(method.upper(), path) for path, methods in paths.items() for method in methods}


def test_every_route_has_a_row(matrix: Matrix) -> None:
    assert described(matrix) | {("GET", f"{API}/openapi.json")} == ROUTES.keys() | OPEN | OWN


def test_no_route_of_the_api_is_left_out_of_its_description() -> None:
    names = [each.name for each in pkgutil.iter_modules(api.__path__, f"{api.__name__}.")]
    routers = [each for name in names for each in vars(importlib.import_module(name)).values() if is_router(each)]
    assert len(routers) >= len(names)
    for route in (each for router in routers for each in router.routes):
        assert getattr(route, "include_in_schema", False), route


def is_router(each: object) -> bool:
    return isinstance(each, APIRouter)


def asked(matrix: Matrix, route: tuple[str, str], row: Route, given: dict[str, str], headers: dict[str, str]) -> Any:
    method, path = route
    address = path.format(**given) + (f"?{row.query.format(**given)}" if row.query else "")
    return matrix.served.client.request(method, address, json=row.body(given), headers=headers)


def verdict_of(answer: Any) -> Verdict:
    code = answer.json()["error"]["code"] if answer.status_code >= 400 else ""
    found = {"not_allowed": Verdict.REFUSED, "not_found": Verdict.HIDDEN}.get(code, Verdict.ALLOWED)
    assert code not in ("login_needed", "token_refused"), answer.text
    assert answer.status_code < 500, answer.text
    return found


def relations(row: Route) -> tuple[Relation, ...]:
    """What can be: nobody owns the farm, and a project has members and no owner."""
    return {
        "farm": (Relation.OTHER,),
        "home": (Relation.PROJECT,),
        "project": (Relation.PROJECT, Relation.OTHER),
        "user": (Relation.OWN, Relation.OTHER),
        "token": (Relation.OWN, Relation.OTHER),
        "session": (Relation.OWN, Relation.OTHER),
        "pool": (Relation.PROJECT, Relation.OTHER),
    }.get(row.about, tuple(Relation))


@pytest.mark.parametrize(
    ("route", "row"),
    [*((route, row) for route, row in ROUTES.items() if row.about != "list"), *ASIDE],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else each.action,
)
def test_a_route_lets_in_whom_the_table_allows_and_nobody_else(
    matrix: Matrix, route: tuple[str, str], row: Route
) -> None:
    for role in Role:
        for relation in relations(row):
            given = matrix.given(role, relation, row.about, route[1])
            answer = asked(matrix, route, row, given, matrix.headers[role])
            expected = {row.action: TABLE[row.action].verdict(role, relation)}
            if row.also is not None:
                expected[row.also] = TABLE[row.also].verdict(role, Relation.PROJECT)
            refusals = {action: said for action, said in expected.items() if said is not Verdict.ALLOWED}
            found = verdict_of(answer)
            assert found in (refusals.values() or [Verdict.ALLOWED]), f"{role}, {relation}: {answer.text}"
            if refusals:
                action, outcome, via = last_refusal(matrix, role)
                assert (outcome, via) == (_OUTCOMES[refusals[action]], "token")


_OUTCOMES = {Verdict.REFUSED: "refused", Verdict.HIDDEN: "hidden"}


def last_refusal(matrix: Matrix, role: Role) -> tuple[str, str | None, str | None]:
    """What the audit log says of the last thing that the one with this role might not do: action, outcome, way in."""
    told = AuditFilter(by=f"the-{role}", refused=True)
    (entry,) = matrix.served.farm.repository.audit.newest(entry_filter=told, limit=1)
    return entry.action, entry.outcome, entry.via


def test_every_list_is_known() -> None:
    assert LISTED.keys() == {path for (_, path), row in ROUTES.items() if row.about == "list"}


@pytest.mark.parametrize("path", LISTED)
def test_a_list_shows_what_one_may_see_and_nothing_else(matrix: Matrix, path: str) -> None:
    row, (key, where) = ROUTES["GET", path], LISTED[path]
    for role in Role:
        for relation in (Relation.PROJECT, Relation.OTHER) if key == "project" else Relation:
            given = matrix.given(role, relation, "list", path)
            found = asked(matrix, ("GET", path), row, given, matrix.headers[role]).json()
            listed = found["jobs"] if path == f"{API}/jobs" else found
            visible = TABLE[row.action].verdict(role, relation) is Verdict.ALLOWED
            assert (given[key] in {each[where] if where else each for each in listed}) == visible, f"{role}, {relation}"


@pytest.mark.parametrize("noun", ["tokens", "sessions"])
@pytest.mark.parametrize("role", Role)
def test_what_lets_somebody_in_is_listed_to_himself_and_to_admins(matrix: Matrix, role: Role, noun: str) -> None:
    for user in ("mate", "stranger"):
        matrix.given(role, {"mate": Relation.PROJECT, "stranger": Relation.OTHER}[user], "token")
        answer = matrix.served.client.get(f"{API}/{noun}?user={user}", headers=matrix.headers[role])
        assert bool(answer.json()) == (role is Role.ADMIN)


@pytest.mark.parametrize("route", [each for each in ROUTES if ROUTES[each].about != "list"], ids=" ".join)
def test_a_token_does_no_more_than_its_scope_whoever_holds_it(matrix: Matrix, route: tuple[str, str]) -> None:
    row = ROUTES[route]
    needed = list(Scope).index(TABLE[row.action].scope)
    for narrow in list(Scope)[:needed]:
        given = matrix.given(Role.ADMIN, relations(row)[0], row.about, route[1])
        answer = asked(matrix, route, row, given, matrix.served.token("the-admin", narrow))
        assert verdict_of(answer) is Verdict.REFUSED, f"{narrow}: {answer.text}"
        assert last_refusal(matrix, Role.ADMIN) == (row.action, "refused", "token")


@pytest.mark.parametrize("role", Role)
def test_everybody_is_told_of_himself_and_nobody_of_others(matrix: Matrix, role: Role) -> None:
    client, mine = matrix.served.client, matrix.served.token(f"the-{role}")
    for path in ("whoami", "session"):
        told = client.get(f"{API}/{path}", headers=mine).json()
        assert (told["name"], told["role"]) == (f"the-{role}", role)
    assert client.get(f"{API}/events", headers=mine).status_code == 200
    assert client.delete(f"{API}/session", headers=mine).status_code == 204
    assert client.delete(f"{API}/tokens/mine", headers=mine).json()["user"] == f"the-{role}"
    assert client.get(f"{API}/whoami", headers=mine).status_code == 401


@pytest.mark.parametrize("route", [*ROUTES, *sorted(OWN)], ids=" ".join)
def test_who_is_nobody_or_nobody_any_more_is_let_in_nowhere(matrix: Matrix, route: tuple[str, str]) -> None:
    given = matrix.given(Role.ADMIN, Relation.OWN, "token")
    revoked, expired = (matrix.served.token("the-admin", Scope.ALL, lasts_s) for lasts_s in (None, 1e-6))
    matrix.served.revoke(revoked)
    SystemClock().wait(None, 0.001)
    method, path = route
    query = f"?{ROUTES[route].query}" if route in ROUTES and ROUTES[route].query else ""
    body = ROUTES[route].body(given) if route in ROUTES else None
    nobody: tuple[dict[str, str], ...] = ({}, {"Authorization": "Bearer nonsense"}, {"Cookie": "renderctl_session=x"})
    for headers in (*nobody, revoked, expired):
        answer = matrix.served.client.request(method, path.format(**given) + query, json=body, headers=headers)
        assert (answer.status_code, set(answer.json())) == (401, {"error"}), headers
    for headers, why in ((revoked, "revoked"), (expired, "expired")):
        token = matrix.served.tokens[headers["Authorization"].removeprefix("Bearer ")]
        (entry,) = matrix.served.farm.repository.audit.newest(entry_filter=AuditFilter(subject=token, refused=True))
        assert (entry.action, entry.outcome, entry.details["why"]) == ("token.use", "refused", why)
