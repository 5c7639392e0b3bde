"""Workers, over HTTP."""

from renderctl.client.connection import ServerConnection
from renderctl.client.http import quoted
from renderctl.client.responses import typed
from renderctl.core.workers import Worker


def list_workers(server: ServerConnection, *, all_of_them: bool = False) -> list[Worker]:
    """The workers."""
    return typed(list[Worker], server.api.get("/workers", every=all_of_them))


def drain_worker(server: ServerConnection, worker_ref: str) -> Worker:
    """Let a worker finish its frames and take no more."""
    return typed(Worker, server.api.post(f"/workers/{quoted(worker_ref)}/drain"))


def resume_worker(server: ServerConnection, worker_ref: str) -> Worker:
    """Let a worker take work again."""
    return typed(Worker, server.api.post(f"/workers/{quoted(worker_ref)}/resume"))
