"""`work`: a worker takes turns, renders, publishes, and tells the farm that it lives."""

from renderctl.farm.worker.worker import Worker, WorkOptions, worker_for

__all__ = ["WorkOptions", "Worker", "worker_for"]
