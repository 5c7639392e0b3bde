"""Workers, over HTTP."""

from renderctl.client.commands import RemoteCommands
from renderctl.client.http import quoted
from renderctl.client.responses import typed
from renderctl.core.workers import Worker


def list_workers(server: RemoteCommands, *, all_of_them: bool = False) -> list[Worker]:
    """The workers."""
    return typed(list[Worker], server.api.get("/workers", every=all_of_them))


def drain_worker(server: RemoteCommands, ref: str) -> Worker:
    """Let a worker finish its frames and take no more."""
    return typed(Worker, server.api.post(f"/workers/{quoted(ref)}/drain"))


def resume_worker(server: RemoteCommands, ref: str) -> Worker:
    """Let a worker take work again."""
    return typed(Worker, server.api.post(f"/workers/{quoted(ref)}/resume"))
