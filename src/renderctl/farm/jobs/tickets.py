"""Tickets: a job has one in the queue for each turn that it is due."""

import logging

from renderctl.core.errors import QueueUnavailable
from renderctl.core.jobs import Job
from renderctl.farm import Farm
from renderctl.queues import Ticket

logger = logging.getLogger(__name__)


def enqueue_ticket(farm: Farm, job: Job, delay_s: float = 0.0) -> None:
    """Put a ticket of the job into the queue of its pool, which workers see after `delay_s` seconds.

    A queue that is away is not an error: idle slots ask the database, too.
    """
    try:
        farm.queue.put(Ticket(job.id, job.serial), pool=job.pool, priority=job.priority, delay_s=delay_s)
    except QueueUnavailable as error:
        text = "no ticket for job %s, which idle workers find without one: %s"
        logger.warning(text, job.id, error, extra={"job": job.id})
