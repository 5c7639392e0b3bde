"""What a session was ended for, wherever it ran."""

import signal

from renderctl.core.jobs import Failure, Fault
from renderctl.executors import ExitStatus


def overfull(most_mb: int) -> ExitStatus:
    """It was killed for what it wrote."""
    reason = f"The scene wrote more than {most_mb} MB of files (executor.scratch_mb), and was ended."
    return misbehaved(f"it wrote more than {most_mb} MB", reason)


def disk_full(spare_mb: int) -> ExitStatus:
    """It was killed since there is no room left for what it writes."""
    reason = f"Blender was ended: the disk of its scratch has only {spare_mb} MB left."
    return ExitStatus(None, signal.SIGKILL, detail="the disk is full", failure=Failure(Fault.MACHINE, reason))


def too_many_processes(most: int) -> ExitStatus:
    """It was killed for what it started."""
    reason = f"The scene started more than {most} processes (executor.pids), and was ended."
    return misbehaved(f"it started more than {most} processes", reason)


def misbehaved(detail: str, reason: str) -> ExitStatus:
    """It was killed for what scripts of its scene did."""
    return ExitStatus(None, signal.SIGKILL, detail=detail, failure=Failure(Fault.SCENE, reason, whole_job=True))
