"""Metrics for Prometheus: of the farm, and of the requests to this server."""

import threading
from collections.abc import Iterable
from math import inf

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from renderctl.core.clocks import Clock
from renderctl.core.metrics import Cursor, Measures, Since
from renderctl.core.states import AttemptState, JobState, TaskState, WorkerState
from renderctl.core.webhooks import UNDELIVERED_STATES
from renderctl.wiring import LocalCommands

REQUEST_REGISTRY = CollectorRegistry()
request_count = Counter(
    "renderctl_http_requests_total", "Responses of the server.", ["method", "status"], registry=REQUEST_REGISTRY
)
request_seconds = Histogram(
    "renderctl_http_request_seconds", "Seconds until a response began.", ["method"], registry=REQUEST_REGISTRY,
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5),
)  # fmt: skip


#: Seconds for which a response is cached.
_CACHE_S = 5.0
_FRAME_BUCKETS_S = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 10800)
_WAIT_BUCKETS_S = (1, 2.5, 5, 10, 30, 60, 300, 900, 1800, 3600, 4 * 3600, 24 * 3600)


class Exporter:
    """Renders the metrics; it asks the farm at most once in a few seconds, however many scrape it.

    The histograms count from the first scrape of this process, over the whole farm.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counted = CollectorRegistry()
        self._frames = Histogram(
            "renderctl_frame_seconds",
            "Seconds that rendered frames took.",
            registry=self._counted,
            buckets=_FRAME_BUCKETS_S,
        )
        waits = "Seconds from the submission of a job until its first task was claimed."
        self._waits = Histogram(
            "renderctl_job_waiting_seconds", waits, registry=self._counted, buckets=_WAIT_BUCKETS_S
        )  # fmt: skip
        self._lock = threading.Lock()
        self._cursor: Cursor | None = None
        self._text, self._expires_at = b"", -inf

    def render(self, verbs: LocalCommands) -> tuple[bytes, str]:
        """The metrics as text, and its media type. Raises NotAllowed, DatabaseUnavailable."""
        verbs.may_read_metrics()
        with self._lock:
            if self._clock.monotonic() >= self._expires_at:
                self._text = self._collect(verbs)
                self._expires_at = self._clock.monotonic() + _CACHE_S
            return generate_latest(REQUEST_REGISTRY) + self._text, CONTENT_TYPE_LATEST

    def _collect(self, verbs: LocalCommands) -> bytes:
        since: Since = verbs.metrics_since(self._cursor)
        self._cursor = since.cursor
        for samples, histogram in ((since.frames_s, self._frames), (since.waits_s, self._waits)):
            for sample_s in samples:
                histogram.observe(sample_s)
        registry = CollectorRegistry()
        registry.register(_Farm(verbs.metrics()))
        return generate_latest(self._counted) + generate_latest(registry)


class _Farm(Collector):
    """The metrics of the farm. Every state has a line, also at 0."""

    def __init__(self, measures: Measures) -> None:
        self._measures = measures

    def collect(self) -> Iterable[Metric]:
        measures = self._measures
        yield _states("renderctl_tasks", "Tasks of unfinished jobs.", TaskState, measures.tasks)
        yield _states("renderctl_jobs", "Jobs in the database.", JobState, measures.jobs)
        yield _states("renderctl_workers", "Workers in the database.", WorkerState, measures.workers)
        yield _states("renderctl_attempts", "Attempts of the jobs in the database.", AttemptState, measures.attempts)
        deliveries = "Deliveries of webhooks that are waiting or undeliverable."
        yield _states("renderctl_webhook_deliveries", deliveries, UNDELIVERED_STATES, measures.deliveries)
        yield GaugeMetricFamily("renderctl_queue_depth", "Jobs with tasks to claim.", measures.queue_depth)
        waits = "Seconds that the oldest job without a claimed task has been waiting."
        yield GaugeMetricFamily("renderctl_waiting_seconds", waits, measures.waiting_s)
        yield GaugeMetricFamily("renderctl_slots", "Slots of active workers.", measures.slots)


def _states(name: str, help_text: str, states: Iterable[str], counts: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(name, help_text, labels=["state"])
    for state in states:
        family.add_metric([str(state)], counts.get(state, 0))
    return family
