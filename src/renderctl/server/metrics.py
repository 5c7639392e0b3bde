"""What Prometheus reads, and how many requests there were."""

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

REQUESTS = CollectorRegistry()
requests = Counter("renderctl_http_requests_total", "Answers of the server.", ["method", "status"], registry=REQUESTS)
seconds = Histogram(
    "renderctl_http_request_seconds", "Until an answer began.", ["method"], registry=REQUESTS,
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5),
)  # fmt: skip


#: Seconds for which an answer is as good as a new one.
_FRESH_S = 5.0
_FRAME_BUCKETS_S = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 10800)
_WAIT_BUCKETS_S = (1, 2.5, 5, 10, 30, 60, 300, 900, 1800, 3600, 4 * 3600, 24 * 3600)


class Exporter:
    """What Prometheus reads: the farm is asked once in a few seconds at most, however many read it.

    Times are counted from when this process was first asked, of the whole farm, whoever else serves it.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counted = CollectorRegistry()
        self._frames = Histogram(
            "renderctl_frame_seconds", "What rendered frames took.", registry=self._counted, buckets=_FRAME_BUCKETS_S
        )
        waits = "From when jobs were submitted until their first task was claimed."
        self._waits = Histogram(
            "renderctl_job_waiting_seconds", waits, registry=self._counted, buckets=_WAIT_BUCKETS_S
        )  # fmt: skip
        self._lock = threading.Lock()
        self._mark: Cursor | None = None
        self._text, self._good_until = b"", -inf

    def told(self, verbs: LocalCommands) -> tuple[bytes, str]:
        """The text, and its type. Raises NotAllowed."""
        verbs.may_read_metrics()
        with self._lock:
            if self._clock.monotonic() >= self._good_until:
                self._text = self._asked(verbs)
                self._good_until = self._clock.monotonic() + _FRESH_S
            return generate_latest(REQUESTS) + self._text, CONTENT_TYPE_LATEST

    def _asked(self, verbs: LocalCommands) -> bytes:
        lately: Since = verbs.metrics_since(self._mark)
        self._mark = lately.mark
        for seconds_each, histogram in ((lately.frames_s, self._frames), (lately.waits_s, self._waits)):
            for each in seconds_each:
                histogram.observe(each)
        registry = CollectorRegistry()
        registry.register(_Farm(verbs.metrics()))
        return generate_latest(self._counted) + generate_latest(registry)


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
        yield _states("renderctl_webhook_deliveries", untold, UNDELIVERED_STATES, found.deliveries)
        yield GaugeMetricFamily("renderctl_queue_depth", "Jobs that have work to give.", found.queue_depth)
        waits = "Seconds that the oldest job with work to give waits of which nothing was claimed."
        yield GaugeMetricFamily("renderctl_waiting_seconds", waits, found.waiting_s)
        yield GaugeMetricFamily("renderctl_slots", "Slots of the workers that are there.", found.slots)


def _states(name: str, said: str, states: Iterable[str], counts: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(name, said, labels=["state"])
    for state in states:
        family.add_metric([str(state)], counts.get(state, 0))
    return family
