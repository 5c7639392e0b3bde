"""The outbox of webhooks: filled in the transaction of what it tells, emptied once, on every database."""

from dataclasses import replace
from typing import Any

import pytest

from renderctl.core.attempts import Completion, Cost
from renderctl.core.errors import AttemptSuperseded, BlobCollected, Conflict, NotFound
from renderctl.core.jobs import Attempt, Failure, Fault, Job, Output
from renderctl.core.webhooks import (
    MAX_TRIES,
    Delivery,
    DeliveryAttempt,
    DeliveryState,
    Event,
    PreparedDelivery,
    Webhook,
    retry_delay,
)
from renderctl.farm import Farm
from renderctl.repository.leases import WEBHOOKS, Lease
from renderctl.repository.schema.jobs import blob_leases
from renderctl.repository.webhooks.outbox import add_event
from renderctl.repository.webhooks.registrations import MOST
from tests.fakes import FakeClock
from tests.farms import ACTOR, given_job, given_worker

IMAGE = Output("0001.png", "a" * 64, 10)
SECRET = "rctlw_secret"
TAKEN, FAILED = DeliveryAttempt(200, "ok", None), DeliveryAttempt(500, "no", "answered 500")


def given_webhook(farm: Farm, job: Job | None = None, *events: Event, project: str = "default") -> Webhook:
    wanted = events or tuple(Event)
    job_id = job.id if job else None
    return farm.repository.webhooks.add(
        "https://ci.example.org/hooks?key=hush", SECRET, wanted, project=project, job_id=job_id, actor=ACTOR
    )


def given_attempt(farm: Farm, job: Job, name: str = "w1") -> Attempt:
    (attempt,) = farm.repository.attempts.claim(job.id, given_worker(farm, name)).attempts
    farm.repository.attempts.start(attempt)
    return attempt


def outbox(farm: Farm, webhook: Webhook) -> list[Delivery]:
    """What it holds for a webhook, the oldest first."""
    return farm.repository.deliveries.newest([webhook.id], limit=1000)[::-1]


def events(farm: Farm, webhook: Webhook) -> list[str]:
    return [item.event for item in outbox(farm, webhook)]


def next_of(farm: Farm, webhook: Webhook) -> PreparedDelivery:
    parcel = farm.repository.deliveries.next_due(webhook.id)
    assert parcel is not None
    return parcel


def test_a_frame_and_the_end_of_its_job_are_told_once_each(farm: Farm) -> None:
    job = given_job(farm, "7")
    webhook, attempt = given_webhook(farm, job), given_attempt(farm, job)
    for _ in range(2):
        farm.repository.attempts.complete(attempt, [IMAGE, replace(IMAGE, name="depth.exr")], Cost(1.5))
        farm.repository.jobs.finish_if_done(job.id)
    assert sorted(events(farm, webhook)) == ["job.succeeded", "output.published", "output.published"]
    told = next_of(farm, webhook).payload
    assert told["job"]["state"] == "running"
    assert told["task"] == {"id": f"{job.id}-1", "number": 1, "frame": 7, "camera": None}
    assert (told["output"]["digest"], told["output"]["frame"]) == ("a" * 64, 7)


def test_frames_that_are_published_together_are_told_in_their_order(farm: Farm) -> None:
    job = given_job(farm, "1-30")
    webhook, slot = given_webhook(farm, job, Event.OUTPUT_PUBLISHED), given_worker(farm)
    claimed = farm.repository.attempts.claim(job.id, slot, limit=30).attempts
    farm.repository.attempts.complete_all(
        [Completion(item, (replace(IMAGE, name=f"{item.number}.png"),), Cost()) for item in claimed]
    )
    told = []
    while parcel := farm.repository.deliveries.next_due(webhook.id):
        told.append(parcel.payload["task"]["frame"])
        farm.repository.deliveries.record_attempt(parcel, "", TAKEN, chance=0.5)
    assert told == list(range(1, 31))


def test_what_is_told_of_a_job_is_what_it_was_then(farm: Farm) -> None:
    job = given_job(farm, "1")
    webhook, attempt = given_webhook(farm, job, Event.JOB_SUCCEEDED), given_attempt(farm, job)
    farm.repository.attempts.complete(attempt, [IMAGE], Cost())
    farm.repository.jobs.finish_if_done(job.id)
    farm.repository.jobs.retry(job.id, actor=ACTOR, frames=[1])
    assert farm.repository.jobs.get(job.id).state == "running"
    told = next_of(farm, webhook).payload["job"]
    assert (told["id"], told["name"], told["state"]) == (job.id, job.name, "succeeded")
    assert told["finished_at"].endswith("Z")


def test_a_completion_that_is_rolled_back_tells_nothing(farm: Farm) -> None:
    job = given_job(farm, "1")
    webhook, attempt = given_webhook(farm, job), given_attempt(farm, job)
    with farm.repository.database.engine.begin() as connection:
        row = {"digest": IMAGE.digest, "until": farm.clock.now(), "marked_by": "a collector"}
        connection.execute(blob_leases.insert(), row)
    with pytest.raises(BlobCollected):
        farm.repository.attempts.complete(attempt, [IMAGE], Cost())
    assert outbox(farm, webhook) == []


def test_a_transaction_that_fails_after_it_has_told_has_told_nothing(farm: Farm) -> None:
    job = given_job(farm, "1")
    webhook = given_webhook(farm, job)

    def failing(connection: Any) -> None:
        add_event(connection, Event.JOB_FAILED, job.id)
        raise LookupError

    with pytest.raises(LookupError):
        farm.repository.database.write(failing)
    assert outbox(farm, webhook) == []


def test_a_zombie_tells_nothing(farm: Farm, clock: FakeClock) -> None:
    job = given_job(farm, "1-2")
    webhook, zombie = given_webhook(farm, job), given_attempt(farm, job)
    clock.advance(seconds=2)
    farm.repository.recovery.expire_silent()
    heir = given_attempt(farm, job, "w2")
    with pytest.raises(AttemptSuperseded):
        farm.repository.attempts.complete(zombie, [IMAGE], Cost())
    assert farm.repository.attempts.fail(zombie, Failure(Fault.SCENE, "No camera."), Cost()) is None
    assert events(farm, webhook) == []
    done = [Completion(zombie, (IMAGE,), Cost()), Completion(heir, (IMAGE,), Cost())]
    farm.repository.attempts.complete_all(done)
    assert events(farm, webhook) == ["output.published"]


def test_a_task_is_told_of_when_it_has_failed_for_good(farm: Farm, clock: FakeClock) -> None:
    job = given_job(farm, "1", max_attempts=2)
    webhook = given_webhook(farm, job)
    farm.repository.attempts.fail(given_attempt(farm, job), Failure(Fault.MACHINE, "Out of memory."), Cost())
    assert events(farm, webhook) == []
    clock.advance(seconds=60)
    last = given_attempt(farm, job, "w2")
    for _ in range(2):
        farm.repository.attempts.fail(last, Failure(Fault.MACHINE, "Out of memory."), Cost())
    farm.repository.jobs.finish_if_done(job.id)
    assert events(farm, webhook) == ["task.failed", "job.failed"]
    told = next_of(farm, webhook).payload
    assert (told["task"]["attempts"], told["task"]["error"]) == (2, "Out of memory.")


def test_a_task_whose_last_worker_went_silent_is_told_of(farm: Farm, clock: FakeClock) -> None:
    job = given_job(farm, "1", max_attempts=1)
    webhook = given_webhook(farm, job, Event.TASK_FAILED)
    given_attempt(farm, job)
    clock.advance(seconds=2)
    farm.repository.recovery.expire_silent()
    assert events(farm, webhook) == ["task.failed"]
    assert next_of(farm, webhook).payload["task"]["error"] == "its worker went silent"


def test_a_failure_of_the_whole_job_is_told_once(farm: Farm) -> None:
    job = given_job(farm, "1-3")
    webhook, attempt = given_webhook(farm, job), given_attempt(farm, job)
    failure = Failure(Fault.SCENE, "The scene has no camera.", whole_job=True)
    for _ in range(2):
        farm.repository.attempts.fail(attempt, failure, Cost())
        farm.repository.jobs.finish_if_done(job.id)
    assert sorted(events(farm, webhook)) == ["job.failed", "task.failed"]


def test_a_job_is_told_of_with_its_reason(farm: Farm) -> None:
    job = given_job(farm, "1")
    webhook, attempt = given_webhook(farm, job, Event.JOB_FAILED), given_attempt(farm, job)
    farm.repository.attempts.fail(attempt, Failure(Fault.SCENE, "The scene has no camera.", whole_job=True), Cost())
    assert next_of(farm, webhook).payload["job"]["error"] == "The scene has no camera."


def test_a_cancellation_is_told_once(farm: Farm) -> None:
    job = given_job(farm, "1-3")
    webhook = given_webhook(farm, job)
    for _ in range(2):
        farm.repository.jobs.cancel(job.id, actor=ACTOR)
    assert events(farm, webhook) == ["job.canceled"]
    assert next_of(farm, webhook).payload["job"]["state"] == "canceled"


def test_who_listens_to_a_project_hears_of_its_jobs_and_of_no_others(farm: Farm) -> None:
    farm.repository.projects.add("film", (), actor=ACTOR)
    here, there = given_webhook(farm), given_webhook(farm, project="film")
    job, other = given_job(farm, "1"), given_job(farm, "1")
    of_other, nothing = given_webhook(farm, other), given_webhook(farm, job, Event.JOB_FAILED)
    farm.repository.jobs.cancel(job.id, actor=ACTOR)
    assert [item.job for item in outbox(farm, here)] == [job.id]
    assert [outbox(farm, entry) for entry in (there, of_other, nothing)] == [[], [], []]


def test_a_secret_and_the_rest_of_an_address_are_in_no_audit_row(farm: Farm) -> None:
    webhook = given_webhook(farm)
    (entry,) = farm.repository.audit.newest(subject=webhook.id)
    assert (entry.action, entry.details["to"]) == ("webhook.add", "https://ci.example.org")
    assert not any(hidden in str(entry) for hidden in (SECRET, "hush", "hooks?"))
    assert SECRET not in repr(farm.repository.webhooks.find(webhook.id))


def test_one_has_so_many_webhooks_and_no_more(farm: Farm) -> None:
    job = given_job(farm, "1")
    for _ in range(MOST):
        given_webhook(farm, job)
    given_webhook(farm)
    with pytest.raises(Conflict):
        given_webhook(farm, job)


def test_the_next_tries_are_later_and_later_and_end_after_a_day(farm: Farm, clock: FakeClock) -> None:
    job = given_job(farm, "1")
    webhook = given_webhook(farm, job)
    farm.repository.jobs.cancel(job.id, actor=ACTOR)
    began, waits, state = clock.now(), [], DeliveryState.WAITING
    while state is DeliveryState.WAITING:
        state = farm.repository.deliveries.record_attempt(next_of(farm, webhook), "the body", FAILED, chance=0.5)
        (delivery,) = outbox(farm, webhook)
        if delivery.due_at is not None:
            assert farm.repository.deliveries.next_due(webhook.id) is None
            waits.append((delivery.due_at - clock.now()).total_seconds())
            clock.advance(seconds=waits[-1])
            assert next_of(farm, webhook).body == "the body"
    assert waits[:4] == [10, 20, 40, 80]
    assert max(waits) == 3600
    assert 80_000 < (clock.now() - began).total_seconds() < 100_000


def test_tries_are_spread_and_there_are_only_so_many() -> None:
    assert (retry_delay(1, 0.0), retry_delay(1, 1.0)) == (7.5, 12.5)
    assert retry_delay(MAX_TRIES, 0.5) is None
    day_s = sum(delay_s for tries in range(1, MAX_TRIES) if (delay_s := retry_delay(tries, 0.5)) is not None)
    assert 80_000 < day_s < 100_000


def test_an_answer_ends_it_and_what_is_final_is_not_tried_again(farm: Farm) -> None:
    jobs = [given_job(farm, "1") for _ in range(2)]
    webhook = given_webhook(farm)
    for job, tried in zip(jobs, (TAKEN, replace(FAILED, status=410, final=True)), strict=True):
        farm.repository.jobs.cancel(job.id, actor=ACTOR)
        farm.repository.deliveries.record_attempt(next_of(farm, webhook), "", tried, chance=0.5)
    taken, gone = outbox(farm, webhook)
    assert (taken.state, taken.status, taken.answer, taken.error) == ("delivered", 200, "ok", None)
    assert (gone.state, gone.status, gone.tries, gone.due_at) == ("undeliverable", 410, 1, None)
    assert farm.repository.deliveries.next_due(webhook.id) is None
    assert farm.repository.metrics.measure().deliveries == {"undeliverable": 1}


def test_what_fails_waits_behind_what_is_new(farm: Farm, clock: FakeClock) -> None:
    webhook, jobs = given_webhook(farm), [given_job(farm, "1") for _ in range(2)]
    farm.repository.jobs.cancel(jobs[0].id, actor=ACTOR)
    farm.repository.deliveries.record_attempt(next_of(farm, webhook), "", FAILED, chance=0.5)
    clock.advance(seconds=1)
    farm.repository.jobs.cancel(jobs[1].id, actor=ACTOR)
    assert next_of(farm, webhook).delivery.job == jobs[1].id


def test_a_receiver_that_takes_nothing_for_a_day_loses_what_is_as_old_and_keeps_what_is_new(
    farm: Farm, clock: FakeClock
) -> None:
    webhook, jobs = given_webhook(farm), [given_job(farm, "1") for _ in range(3)]
    for job in jobs[:2]:
        farm.repository.jobs.cancel(job.id, actor=ACTOR)
    farm.repository.deliveries.record_attempt(next_of(farm, webhook), "", FAILED, chance=0.5)
    clock.advance(seconds=86_400)
    farm.repository.jobs.cancel(jobs[2].id, actor=ACTOR)
    farm.repository.deliveries.record_attempt(next_of(farm, webhook), "", FAILED, chance=0.5)
    old, older, new = outbox(farm, webhook)
    assert (old.state, older.state, new.state) == ("undeliverable", "undeliverable", "waiting")


def test_a_success_between_makes_a_receiver_one_that_works(farm: Farm, clock: FakeClock) -> None:
    webhook, jobs = given_webhook(farm), [given_job(farm, "1") for _ in range(3)]
    for job, tried in zip(jobs, (FAILED, TAKEN, FAILED), strict=True):
        farm.repository.jobs.cancel(job.id, actor=ACTOR)
        farm.repository.deliveries.record_attempt(next_of(farm, webhook), "", tried, chance=0.5)
        clock.advance(seconds=43_200)
    assert [item.state for item in outbox(farm, webhook)] != ["undeliverable"] * 3
    assert outbox(farm, webhook)[2].state == "waiting"


def test_what_was_undeliverable_can_be_sent_again_under_its_own_id(farm: Farm) -> None:
    job, webhook = given_job(farm, "1"), given_webhook(farm)
    farm.repository.jobs.cancel(job.id, actor=ACTOR)
    first = next_of(farm, webhook)
    farm.repository.deliveries.record_attempt(first, "the body", replace(FAILED, final=True), chance=0.5)
    again = farm.repository.deliveries.resend(first.delivery.id, actor=ACTOR)
    assert (again.state, again.tries) == ("waiting", 0)
    parcel = next_of(farm, webhook)
    assert (parcel.delivery.id, parcel.body) == (first.delivery.id, "the body")


def test_a_removed_webhook_is_told_nothing_and_forgotten(farm: Farm) -> None:
    job, webhook = given_job(farm, "1-2"), given_webhook(farm)
    farm.repository.attempts.complete(given_attempt(farm, job), [IMAGE], Cost())
    farm.repository.webhooks.remove(webhook.id, actor=ACTOR)
    farm.repository.jobs.cancel(job.id, actor=ACTOR)
    assert (farm.repository.deliveries.due_webhooks(), outbox(farm, webhook)) == ({}, [])
    with pytest.raises(NotFound):
        farm.repository.webhooks.find(webhook.id)


def test_what_a_disabled_user_has_set_up_is_told_when_he_is_let_in_again(farm: Farm) -> None:
    for name in ("root", ACTOR.name):
        farm.repository.users.add(name, ACTOR.role, (), password=None, actor=ACTOR)
    job, webhook = given_job(farm, "1"), given_webhook(farm)
    farm.repository.users.disable(ACTOR.name, actor=ACTOR)
    farm.repository.jobs.cancel(job.id, actor=ACTOR)
    assert (farm.repository.deliveries.due_webhooks(), farm.repository.deliveries.next_due(webhook.id)) == ({}, None)
    farm.repository.users.enable(ACTOR.name, actor=ACTOR)
    assert farm.repository.deliveries.due_webhooks() == {webhook.id: webhook.owner}


def test_old_deliveries_are_forgotten_and_webhooks_of_removed_jobs_with_them(farm: Farm, clock: FakeClock) -> None:
    job, other = given_job(farm, "1"), given_job(farm, "1")
    of_job, of_other, all_of_them = given_webhook(farm, job), given_webhook(farm, other), given_webhook(farm)
    for item in (job, other):
        farm.repository.jobs.cancel(item.id, actor=ACTOR)
    for webhook in (of_job, all_of_them):
        farm.repository.deliveries.record_attempt(next_of(farm, webhook), "", TAKEN, chance=0.5)
    for entry in (job, other):
        farm.repository.jobs.remove(entry.id, actor=ACTOR)
    while farm.repository.recovery.delete_removed_batch():
        pass
    clock.advance(seconds=8 * 86_400)
    while farm.repository.deliveries.delete_ended(7):
        pass
    assert {element.id for element in farm.repository.webhooks.all()} == {of_other.id, all_of_them.id}
    assert [current.state for current in outbox(farm, of_other)] == ["waiting"]
    assert [each.state for each in outbox(farm, all_of_them)] == ["waiting"]


def test_one_at_a_time_holds_the_lease(farm: Farm, clock: FakeClock) -> None:
    assert farm.repository.leases.acquire(WEBHOOKS, "one") == Lease(0.0)
    assert farm.repository.leases.acquire(WEBHOOKS, "two") is None
    assert farm.repository.recovery.acquire_sweep_lease("two").held, "another lease is another's"
    clock.advance(seconds=0.9)
    assert farm.repository.leases.acquire(WEBHOOKS, "one") == Lease(pytest.approx(0.9))  # type: ignore[arg-type]
    clock.advance(seconds=1.1)
    assert farm.repository.leases.acquire(WEBHOOKS, "two") == Lease(0.0)
    farm.repository.leases.release(WEBHOOKS, "one")
    assert farm.repository.leases.acquire(WEBHOOKS, "one") is None
