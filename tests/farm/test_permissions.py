"""Who may do what: every verb, by every role, with what is his own, his project's and another's, as the table says."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from renderctl.core.actors import Actor, Role, Scope, Via
from renderctl.core.audit import AuditFilter
from renderctl.core.errors import NotAllowed, NotFound, RenderctlError
from renderctl.core.jobs import Job
from renderctl.core.models import Model
from renderctl.core.new_model import NewModel
from renderctl.core.permissions import TABLE, Relation, Subject, Verdict, authorize, verdict, visibility_of
from renderctl.core.webhooks import Event
from renderctl.farm import Farm
from renderctl.farm.jobs.submit import SubmitRequest, submit
from renderctl.farm.models.upload import UploadOptions, UploadRequest
from renderctl.farm.worker import WorkOptions
from renderctl.repository.webhooks.outbox import add_event
from renderctl.wiring import LocalCommands
from tests.databases import farm_on
from tests.farms import ACTOR, FACTS, close, given_model, given_worker
from tests.verbs import VERBS

ROLES, RELATIONS = list(Role), list(Relation)


def mona(role: Role, **more: Any) -> Actor:
    """Somebody of a role, a member of the project `film`."""
    return Actor("mona", role=role, projects=frozenset(["film"]), via=Via.TOKEN, address="192.0.2.7", **more)


@pytest.fixture
def farm(database_url: str, tmp_path: Path) -> Iterator[Farm]:
    made = farm_on(database_url, tmp_path)
    yield made
    close(made)


class Things:
    """A model and a job of somebody, in a project."""

    def __init__(self, farm: Farm, relation: Relation) -> None:
        self.farm = farm
        self.owner = "mona" if relation is Relation.OWN else "paul"
        self.project = {Relation.OWN: "mine", Relation.PROJECT: "film", Relation.OTHER: "other"}[relation]
        owner = replace(ACTOR, name=self.owner)
        file = tuple(farm.repository.models.inputs(given_model(farm, "any").id))
        new = NewModel("shot", "shot.blend", "d" * 64, FACTS, file, self.project)
        self.model: Model = farm.repository.models.add(new, actor=owner)[0]
        request = SubmitRequest(frames="1-3", project=self.project)
        self.job: Job = submit(farm, owner, self.model, request).job
        told: dict[str, Any] = {"project": self.project, "job_id": self.job.id, "actor": owner}
        self.webhook = farm.repository.webhooks.add("http://127.0.0.1:9/", "secret", tuple(Event), **told)
        farm.repository.database.write(lambda connection: add_event(connection, Event.TASK_FAILED, self.job.id))
        self.delivery = farm.repository.deliveries.newest([self.webhook.id])[0]


Call = Callable[[LocalCommands, Things], Any]


def first(found: Any) -> Any:
    return next(iter(found), None)


#: How each verb is called with somebody's things, where the table speaks of things.
CALLS: dict[str, Call] = {
    "cancel": lambda c, it: c.cancel(it.job.id),
    "pause": lambda c, it: c.pause(it.job.id),
    "priority": lambda c, it: c.priority(it.job.id, 9),
    "retry": lambda c, it: c.retry(it.job.id),
    "remove_jobs": lambda c, it: c.remove_jobs([it.job.id], force=True, dry_run=False),
    "status": lambda c, it: c.status(it.job.id),
    "watch": lambda c, it: first(c.watch(it.job.id, stop=threading.Event())),
    "follow": lambda c, it: first(c.follow(it.job.id, stop=_set())),
    "download": lambda c, it: c.download(it.job.id, it.farm.settings.data_dir / "out"),
    "show_model": lambda c, it: c.show_model(it.model.id),
    "model_of": lambda c, it: c.model_of(it.model.id, UploadOptions()),
    "add_webhook": lambda c, it: c.add_webhook("https://93.184.215.14/", job=it.job.id),
    "list_deliveries": lambda c, it: c.list_deliveries(it.webhook.id),
    "ping": lambda c, it: c.ping(it.webhook.id),
    "resend": lambda c, it: c.resend(it.delivery.id),
    "remove_webhook": lambda c, it: c.remove_webhook(it.webhook.id),
}
#: And those that concern all alike.
COMMON: dict[str, Call] = {
    "list_workers": lambda c, it: c.list_workers(),
    "drain_worker": lambda c, it: c.drain_worker("w1"),
    "resume_worker": lambda c, it: c.resume_worker("w1"),
    "sweep_here": lambda c, it: c.sweep_here(wait=False),
    "collect": lambda c, it: c.collect(dry_run=True),
    "worker_for": lambda c, it: c.worker_for(WorkOptions(name="own"))._scratch.remove(),
    "audit": lambda c, it: c.audit(AuditFilter()),
    "verify_audit": lambda c, it: c.verify_audit(),
    "adopt_audit": lambda c, it: c.adopt_audit(),
    "rotate_audit_key": lambda c, it: c.rotate_audit_key(),
    "whoami": lambda c, it: c.whoami(),
    "add_user": lambda c, it: c.add_user("new", Role.ARTIST),
    "invite": lambda c, it: c.invite(Role.ADMIN),
    "list_invitations": lambda c, it: c.list_invitations(),
    "withdraw_invitation": lambda c, it: c.withdraw_invitation("none-like-it"),
    "add_project": lambda c, it: c.add_project("fresh"),
}


def _set() -> threading.Event:
    stop = threading.Event()
    stop.set()
    return stop


def connection(farm: Farm, actor: Actor) -> LocalCommands:
    return LocalCommands(farm.settings, actor, farm)


def outcome(call: Call, farm: Farm, actor: Actor, it: Things) -> Verdict:
    try:
        call(connection(farm, actor), it)
    except NotAllowed:
        return Verdict.REFUSED
    except NotFound as error:
        names = (it.job.id, it.model.id, it.webhook.id, it.delivery.id)
        return Verdict.HIDDEN if any(name in error.message for name in names) else Verdict.ALLOWED
    except RenderctlError:  # it was let in, and met what everybody meets
        return Verdict.ALLOWED
    return Verdict.ALLOWED


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("role", ROLES)
def test_every_verb_does_for_every_role_what_the_table_says(farm: Farm, role: Role, relation: Relation) -> None:
    given_worker(farm, "w1")
    expected, found, anything = {}, {}, Things(farm, relation)
    for verb, call in {**CALLS, **COMMON}.items():
        it, actor = Things(farm, relation) if verb in CALLS else anything, mona(role)
        action = str(VERBS[verb].action)
        expected[verb] = TABLE[action].verdict(role, relation if verb in CALLS else Relation.OTHER)
        before = len(farm.repository.audit.newest(entry_filter=AuditFilter(refused=True), limit=1000))
        found[verb] = outcome(call, farm, actor, it)
        refused = farm.repository.audit.newest(entry_filter=AuditFilter(refused=True), limit=1000)
        told = {Verdict.REFUSED: "refused", Verdict.HIDDEN: "hidden"}.get(found[verb])
        assert (len(refused) - before, refused[0].outcome if told else None) == (1 if told else 0, told), verb
        if told:
            assert (refused[0].actor, refused[0].address) == ("mona", "192.0.2.7")
    assert found == expected


@pytest.mark.parametrize("role", ROLES)
def test_lists_show_what_one_may_see_and_nothing_else(farm: Farm, role: Role) -> None:
    things = {relation: Things(farm, relation) for relation in RELATIONS}
    seen = {relation for relation in RELATIONS if TABLE["job.see"].verdict(role, relation) is Verdict.ALLOWED}
    mine = connection(farm, mona(role))
    assert {each["id"] for each in mine.jobs()} == {things[each].job.id for each in seen}
    assert {each.id for each in mine.list_models("shot")} == {things[each].model.id for each in seen}
    told = {each for each in RELATIONS if TABLE["webhook.see"].verdict(role, each) is Verdict.ALLOWED}
    assert {each.id for each in mine.list_webhooks()} == {things[each].webhook.id for each in told}
    assert {each.id for each in mine.list_deliveries()} == {things[each].delivery.id for each in told}
    for each in things.values():
        farm.repository.jobs.cancel(each.job.id, actor=ACTOR)
    removable = {relation for relation in RELATIONS if TABLE["job.remove"].verdict(role, relation) is Verdict.ALLOWED}
    old = timedelta(seconds=-60)
    assert set(mine.select_jobs(older_than=old)) == {things[each].job.id for each in removable}


def test_a_project_is_told_by_operators_and_not_by_its_artists(farm: Farm) -> None:
    farm.repository.projects.add("film", (), actor=ACTOR)
    url = "https://93.184.215.14/"
    with pytest.raises(NotAllowed):
        connection(farm, mona(Role.ARTIST)).add_webhook(url, project="film")
    with pytest.raises(NotFound):
        connection(farm, mona(Role.ARTIST)).add_webhook(url, project="other")
    assert connection(farm, mona(Role.OPERATOR)).add_webhook(url, project="film").webhook.project == "film"


def test_whoever_knocks_at_a_door_of_the_farm_is_told_to_the_audit_log(farm: Farm) -> None:
    it = Things(farm, Relation.OWN)
    with pytest.raises(NotAllowed):
        connection(farm, mona(Role.ARTIST)).add_webhook("http://127.0.0.1:6379/", job=it.job.id)
    (entry,) = farm.repository.audit.newest(entry_filter=AuditFilter(refused=True))
    assert (entry.actor, entry.action, entry.subject) == ("mona", "webhook.create", it.job.id)


def test_what_is_hidden_is_told_of_in_the_words_for_what_is_not_there(farm: Farm) -> None:
    hidden = Things(farm, Relation.OTHER)
    artist = connection(farm, mona(Role.ARTIST))
    said = []
    for ref in (hidden.job.id, "nothing-like-it"):
        with pytest.raises(NotFound) as caught:
            artist.status(ref)
        said.append((caught.value.message.replace(ref, "X"), caught.value.hint))
    assert said[0] == said[1]
    with pytest.raises(NotFound):
        connection(farm, mona(Role.ARTIST)).status(hidden.job.name)


def test_a_copy_in_the_cache_is_no_way_around_the_gate(farm: Farm) -> None:
    hidden = Things(farm, Relation.OTHER)
    connection(farm, ACTOR).status(hidden.job.id)
    with pytest.raises(NotFound):
        connection(farm, mona(Role.ARTIST)).status(hidden.job.id)


def test_workers_do_not_tell_what_they_do_for_others(farm: Farm) -> None:
    hidden = Things(farm, Relation.OTHER)
    (attempt,) = farm.repository.attempts.claim(hidden.job.id, given_worker(farm, "w1")).attempts
    farm.repository.attempts.start(attempt)
    assert connection(farm, ACTOR).list_workers()[0].tasks == (f"{hidden.job.id}-1",)
    assert connection(farm, mona(Role.VIEWER)).list_workers()[0].tasks == ()


def test_an_artist_submits_to_his_projects_and_to_their_pools_alone(farm: Farm) -> None:
    farm.repository.projects.add("film", ["gpu"], actor=ACTOR)
    model = Things(farm, Relation.PROJECT).model
    artist = connection(farm, mona(Role.ARTIST))
    assert artist.submit(model, SubmitRequest(frames="1", pool="gpu")).job.project == "film"
    with pytest.raises(NotAllowed, match="pool"):
        artist.submit(model, SubmitRequest(frames="1", pool="fast"))
    with pytest.raises(NotFound, match="no project 'other'"):
        artist.submit(model, SubmitRequest(frames="1", project="other"))
    with pytest.raises(NotFound, match="no project 'other'"):
        artist.upload(UploadRequest(Path("shot.blend"), project="other"))
    with pytest.raises(NotAllowed):
        connection(farm, mona(Role.VIEWER)).submit(model, SubmitRequest(frames="1", pool="gpu"))
    assert connection(farm, mona(Role.OPERATOR)).submit(model, SubmitRequest(frames="1", pool="fast")).new


def test_nobodys_upload_becomes_a_version_of_a_model_that_he_can_not_see(farm: Farm) -> None:
    hidden, own = Things(farm, Relation.OTHER).model, Things(farm, Relation.PROJECT).model
    assert (hidden.ref, own.ref) == ("shot@1", "shot@1")
    assert connection(farm, mona(Role.ARTIST)).show_model("shot") == own
    with pytest.raises(NotFound, match="several projects"):
        connection(farm, replace(ACTOR, projects=frozenset())).show_model("shot")


def test_nobody_waits_for_a_job_that_he_can_not_see(farm: Farm) -> None:
    hidden, own = Things(farm, Relation.OTHER), Things(farm, Relation.PROJECT)
    with pytest.raises(NotFound):
        connection(farm, mona(Role.ARTIST)).submit(own.model, SubmitRequest(frames="1", after=(hidden.job.id,)))


@pytest.mark.parametrize(
    ("scope", "action", "found"),
    [
        (Scope.READ, "job.see", Verdict.ALLOWED),
        (Scope.READ, "job.cancel", Verdict.REFUSED),
        (Scope.WORK, "job.cancel", Verdict.ALLOWED),
        (Scope.WORK, "token.create", Verdict.REFUSED),
        (Scope.ALL, "token.create", Verdict.ALLOWED),
    ],
)
def test_a_token_does_what_its_scope_covers(scope: Scope, action: str, found: Verdict) -> None:
    own = Subject("job", "1", "mona")
    assert verdict(mona(Role.ARTIST, scope=scope), action, own) is found
    if found is Verdict.REFUSED:
        with pytest.raises(NotAllowed, match="This token may not"):
            authorize(mona(Role.ARTIST, scope=scope), action, own)


def test_a_narrow_token_does_not_tell_what_a_wide_one_would_not(farm: Farm) -> None:
    other = Subject("job", "1", "paul", frozenset(["secret"]))
    assert verdict(mona(Role.ARTIST, scope=Scope.READ), "job.cancel", other) is Verdict.HIDDEN


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("action", TABLE)
def test_what_one_sees_in_lists_is_what_the_table_lets_him_see(role: Role, action: str) -> None:
    seen = visibility_of(mona(role), action)
    rule = TABLE[action]
    assert seen.everything == (rule.verdict(role, Relation.OTHER) is Verdict.ALLOWED)


@pytest.mark.parametrize("action", TABLE)
def test_each_role_may_do_what_the_one_before_it_may(action: str) -> None:
    order = [Verdict.HIDDEN, Verdict.REFUSED, Verdict.ALLOWED]
    for less, more in pairwise(ROLES):
        for relation in RELATIONS:
            ranks = [order.index(TABLE[action].verdict(role, relation)) for role in (less, more)]
            assert ranks[0] <= ranks[1] or order[ranks[0]] is not Verdict.ALLOWED, (action, less, more)
