"""What must be true of a farm after a round, whatever happened in it."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

from sqlalchemy import select

from renderctl.actors import Actor
from renderctl.blender.images import verify
from renderctl.farm import Farm
from renderctl.farm.download import download
from renderctl.repository.tables import attempts, outputs, tasks
from renderctl.settings import Settings
from renderctl.states import OPEN_ATTEMPT, AttemptState, JobState, TaskState
from renderctl.wiring import Connection
from tests.nodes import CLOCK, HEARTBEAT_S, LIMIT_S, Site, until

SIDE = 64
#: How an attempt may end other than well, and then it says why.
_EXPLAINED = {AttemptState.FAILED, AttemptState.LOST, AttemptState.CANCELED, AttemptState.RELEASED}


def connected(site: Site) -> Connection:
    return Connection(Settings(site.data), Actor("chaos"))


def rows(farm: Farm, table: Any, job_id: str) -> list[Any]:
    query = select(table).where(table.c.job_id == job_id)
    return list(farm.repository.read(lambda connection: connection.execute(query).all()))


def require_whole(farm: Farm, job_id: str, folder: Path) -> Counter[str]:
    """Every frame rendered, published once, whole, and explained. Returns how many attempts ended how."""
    job = farm.repository.job(job_id)
    assert job.state is JobState.SUCCEEDED, job
    frames = {row.number: row.frame for row in rows(farm, tasks, job_id)}
    assert {row.state for row in rows(farm, tasks, job_id)} == {TaskState.SUCCEEDED}
    tried = rows(farm, attempts, job_id)
    _require_explained(tried)
    _require_published_once(farm, job_id, frames, tried)
    fetched = download(farm, job_id, folder)
    assert fetched.files == len(frames)
    for number in frames.values():
        verify(fetched.folder / f"{number:04d}.png", width=SIDE, height=SIDE)
    return Counter(row.state for row in tried)


def _require_explained(tried: list[Any]) -> None:
    for row in tried:
        assert row.state not in OPEN_ATTEMPT, row
        assert row.ended_at is not None, row
        assert bool(row.error) == (row.state in _EXPLAINED), row
        assert bool(row.fault) == (row.state == AttemptState.FAILED), row


def _require_published_once(farm: Farm, job_id: str, frames: dict[int, int], tried: list[Any]) -> None:
    """One output row a frame, of the one attempt that succeeded, and its blob is what it says."""
    published = rows(farm, outputs, job_id)
    winners = {row.number: row.id for row in tried if row.state == AttemptState.SUCCEEDED}
    assert Counter(row.state for row in tried)[AttemptState.SUCCEEDED] == len(frames)
    assert sorted((row.number, row.name) for row in published) == [
        (number, f"{frame:04d}.png") for number, frame in sorted(frames.items())
    ]
    for row in published:
        assert winners[row.number] == row.attempt_id, row
        assert (row.width, row.height) == (SIDE, SIDE)
        blob = farm.settings.data_dir / "chaos-blob"
        farm.store.get(row.digest, blob)
        content = blob.read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (row.size, row.digest)
        assert farm.store.get_log(row.attempt_id)


def require_cleared(site: Site) -> None:
    """No Blender outlives its worker, and the next start clears away what the dead have left."""
    until(lambda: not site.blenders(), 10 * LIMIT_S, what=f"the end of {site.blenders()}")
    assert site.run("worker", "--name", "charwoman", "--exit-when-idle", "0.1").returncode == 0
    assert sorted(each.name for each in (site.data / "scratch").iterdir()) == []


def wait_for_end(farm: Farm, job_id: str, within_s: float) -> None:
    ended = {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELED}
    give_up = CLOCK.monotonic() + within_s
    while farm.repository.job(job_id).state not in ended or farm.repository.counts(job_id).running:
        left = farm.repository.counts(job_id)
        assert CLOCK.monotonic() < give_up, f"{left} after {within_s:g} s: {rows(farm, attempts, job_id)[-5:]}"
        CLOCK.wait(None, HEARTBEAT_S / 2)
