"""`work`: a worker takes turns, renders, publishes, and tells the farm that it lives."""

from renderctl.farm.work.worker import Worker, WorkOptions, worker_for

__all__ = ["WorkOptions", "Worker", "worker_for"]
