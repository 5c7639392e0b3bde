"""What Prometheus reads, and how many requests there were."""

from collections.abc import Iterable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from renderctl.repository.measuring import Measures
from renderctl.states import AttemptState, JobState, TaskState, WorkerState
from renderctl.webhooks import UNTOLD

REQUESTS = CollectorRegistry()
requests = Counter("renderctl_http_requests_total", "Answers of the server.", ["method", "status"], registry=REQUESTS)
seconds = Histogram(
    "renderctl_http_request_seconds", "Until an answer began.", ["method"], registry=REQUESTS,
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5),
)  # fmt: skip


def measured(found: Measures) -> tuple[bytes, str]:
    """The text that Prometheus reads, and its type."""
    registry = CollectorRegistry()
    registry.register(_Farm(found))
    return generate_latest(REQUESTS) + generate_latest(registry), CONTENT_TYPE_LATEST


class _Farm(Collector):
    """The farm's own figures. Each state has a line, also at 0."""

    def __init__(self, found: Measures) -> None:
        self._found = found

    def collect(self) -> Iterable[Metric]:
        found = self._found
        yield _states("renderctl_tasks", "Tasks of jobs that have not ended.", TaskState, found.tasks)
        yield _states("renderctl_jobs", "Jobs that are kept.", JobState, found.jobs)
        yield _states("renderctl_workers", "Workers that are listed.", WorkerState, found.workers)
        yield _states("renderctl_attempts", "Attempts of jobs that are kept.", AttemptState, found.attempts)
        untold = "Deliveries of webhooks that wait, or have failed for good."
        yield _states("renderctl_webhook_deliveries", untold, UNTOLD, found.deliveries)
        yield GaugeMetricFamily("renderctl_queue_depth", "Jobs that have work to give.", found.queue_depth)
        waits = "Seconds that the oldest job waits of which nothing was claimed."
        yield GaugeMetricFamily("renderctl_waiting_seconds", waits, found.waiting_s)
        if found.frame_s is not None:
            yield GaugeMetricFamily(
                "renderctl_frame_seconds", "What the latest 200 frames took on average.", found.frame_s
            )


def _states(name: str, said: str, states: Iterable[str], counts: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(name, said, labels=["state"])
    for state in states:
        family.add_metric([str(state)], counts.get(state, 0))
    return family
