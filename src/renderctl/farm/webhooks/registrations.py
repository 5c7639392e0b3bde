"""`webhooks`: who is told of what, whether it was told, and telling it again."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from renderctl.core.actors import Actor
from renderctl.core.errors import InvalidInput, NotAllowed, UsageError, did_you_mean
from renderctl.core.ids import new_token
from renderctl.core.permissions import Subject, visibility_of
from renderctl.core.webhooks import PING, Delivery, DeliveryState, Event, PreparedDelivery, Webhook
from renderctl.farm import Farm
from renderctl.farm.authorization import (
    authorized_delivery,
    authorized_job,
    authorized_webhook,
    require,
    subject_of_job,
    subject_of_project,
)
from renderctl.farm.people.quotas import quotas_for
from renderctl.farm.people.secrets import SIGNING_PREFIX, new_secret
from renderctl.farm.webhooks.dispatcher import deliver
from renderctl.farm.webhooks.receiver_address import receiver_of, resolved


@dataclass(frozen=True)
class NewWebhook:
    """A webhook, and the secret that its deliveries are signed with, which is told this once."""

    webhook: Webhook
    secret: str = field(repr=False)


def add_webhook(
    farm: Farm,
    actor: Actor,
    url: str,
    *,
    job: str | None = None,
    project: str | None = None,
    events: Sequence[str] = (),
) -> NewWebhook:
    """Tell a receiver of a job, or of every job of a project, from now on; of some events alone, or of all.

    Raises UsageError, InvalidInput, Conflict, NotFound, QuotaExceeded, and NotAllowed for a receiver in the farm's own
    network, too.
    """
    if (job is None) == (project is None):
        raise UsageError("A webhook is about one job or one project.", hint="--job JOB or --project NAME.")
    event_types = tuple(dict.fromkeys(map(_event, events))) or tuple(Event)
    about = _the_job(farm, job, actor) if job is not None else _the_project(farm, str(project), actor)
    _require_outside(farm, url, about, actor)
    secret = new_secret(SIGNING_PREFIX)
    added = farm.repository.webhooks.add(
        url,
        secret,
        event_types,
        project=about.project,
        job_id=about.job_id,
        actor=actor,
        quotas=quotas_for(farm, actor),
    )
    return NewWebhook(added, secret)


def list_webhooks(farm: Farm, actor: Actor) -> list[Webhook]:
    """The webhooks that the actor may see, the oldest first."""
    return farm.repository.webhooks.all(visibility_of(actor, "webhook.see"))


def remove_webhook(farm: Farm, actor: Actor, webhook_ref: str) -> Webhook:
    """Tell a receiver nothing any more; what waits for it is forgotten. Raises NotFound, NotAllowed."""
    webhook = authorized_webhook(farm, actor, webhook_ref, "webhook.remove")
    farm.repository.webhooks.remove(webhook.id, actor=actor)
    return webhook


def list_deliveries(
    farm: Farm,
    actor: Actor,
    webhook: str | None = None,
    *,
    undeliverable: bool = False,
    before: str | None = None,
    limit: int = 50,
) -> list[Delivery]:
    """What a webhook was told, or all that the actor may see, the newest first. Raises NotFound, NotAllowed."""
    one = [authorized_webhook(farm, actor, webhook, "webhook.see")] if webhook is not None else None
    seen = list_webhooks(farm, actor) if one is None else one
    states = (DeliveryState.UNDELIVERABLE,) if undeliverable else ()
    return farm.repository.deliveries.newest([webhook.id for webhook in seen], states, before=before, limit=limit)


def resend(farm: Farm, actor: Actor, delivery_ref: str) -> Delivery:
    """Have a delivery sent again, under its own id, by whoever sends for the farm. Raises NotFound, NotAllowed."""
    delivery = authorized_delivery(farm, actor, delivery_ref, "webhook.send")
    return farm.repository.deliveries.resend(delivery.id, actor=actor)


def ping(farm: Farm, actor: Actor, webhook_ref: str) -> Delivery:
    """Send a `ping` from here, now and once; what came of it. Raises NotFound, NotAllowed."""
    webhook = authorized_webhook(farm, actor, webhook_ref, "webhook.send")
    at = farm.repository.time()
    delivery = Delivery(new_token(), webhook.id, PING, None, at, DeliveryState.WAITING, 1, None, at)
    parcel = PreparedDelivery(delivery, webhook.url, farm.repository.webhooks.secret(webhook.id), {}, None, at)
    _, tried = deliver(farm, parcel)
    state = DeliveryState.DELIVERED if tried.error is None else DeliveryState.UNDELIVERABLE
    ended = replace(delivery, state=state, status=tried.status, error=tried.error, answer=tried.answer)
    return farm.repository.deliveries.record_ping(ended, actor=actor)


def _event(name: str) -> Event:
    try:
        return Event(name)
    except ValueError as error:
        raise InvalidInput(f"There is no event {name!r}.", hint=did_you_mean(name, list(Event))) from error


@dataclass(frozen=True)
class _About:
    """What a receiver is told of, and what one has to be allowed for that."""

    action: str
    subject: Subject
    project: str
    job_id: str | None = None


def _the_job(farm: Farm, ref: str, actor: Actor) -> _About:
    job = authorized_job(farm, actor, ref, "webhook.create")
    return _About("webhook.create", subject_of_job(job), job.project, job.id)


def _the_project(farm: Farm, name: str, actor: Actor) -> _About:
    require(farm, actor, "webhook.create_for_project", subject_of_project(name))
    farm.repository.projects.require(name)
    return _About("webhook.create_for_project", subject_of_project(name), name)


def _require_outside(farm: Farm, url: str, about: _About, actor: Actor) -> None:
    """Where it leads today; each send asks again. A name that is not known here may be known to whoever sends."""
    receiver = receiver_of(url)
    try:
        with suppress(OSError):
            resolved(receiver, farm.settings.webhooks)
    except NotAllowed:
        farm.repository.audit.add_refusal(actor, about.action, about.subject, "refused")
        raise
