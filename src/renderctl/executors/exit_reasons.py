"""Why the farm killed a session, whatever executor ran it."""

import signal

from renderctl.core.jobs import Failure, Fault
from renderctl.executors import ExitStatus


def scratch_limit_exceeded(most_mb: int) -> ExitStatus:
    """Return the status of a session that was killed for exceeding its scratch limit."""
    reason = f"The scene wrote more than {most_mb} MB of files (executor.scratch_mb) and was killed."
    return killed_for_scene(f"it wrote more than {most_mb} MB", reason)


def disk_full(spare_mb: int) -> ExitStatus:
    """Return the status of a session that was killed since its disk was nearly full."""
    reason = f"Blender was killed: the disk of its scratch has only {spare_mb} MB left."
    return ExitStatus(None, signal.SIGKILL, detail="the disk is full", failure=Failure(Fault.MACHINE, reason))


def too_many_processes(most: int) -> ExitStatus:
    """Return the status of a session that was killed for starting too many processes."""
    reason = f"The scene started more than {most} processes (executor.pids) and was killed."
    return killed_for_scene(f"it started more than {most} processes", reason)


def killed_for_scene(detail: str, reason: str) -> ExitStatus:
    """Return the status of a session that was killed for what its scene's scripts did."""
    return ExitStatus(None, signal.SIGKILL, detail=detail, failure=Failure(Fault.SCENE, reason, whole_job=True))
