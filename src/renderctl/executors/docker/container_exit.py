"""Translates an engine's errors at a container's start, and its exit state."""

import re
import signal
from collections.abc import Mapping
from typing import Any

from renderctl.core.errors import BlenderMissing, EngineRefused, ImageMissing, Unreachable
from renderctl.core.jobs import Failure, Fault
from renderctl.executors import ExitStatus
from renderctl.executors.exit_reasons import killed_for_scene


class DiskNotShared(EngineRefused):
    """The container engine does not share this machine's disk."""


#: Messages of engines whose container cannot start: pattern, error, what is wrong, what to do.
_REFUSALS: tuple[tuple[str, type[Unreachable], str, str], ...] = (
    (
        r"could not select device driver|nvidia-container-cli|unknown device|no such device|CDI device",
        EngineRefused,
        "The container engine has no such GPU",
        "Check executor.gpus of the config; GPUs need the NVIDIA container toolkit.",
    ),
    (
        r"no space left on device|disk quota exceeded",
        EngineRefused,
        "The disk of the container engine is full",
        "`docker system df` shows what uses it; `renderctl images rm` removes images.",
    ),
    (
        r"docker-init|catatonit",
        EngineRefused,
        "The container engine lacks its init program",
        "Install the engine's package tini, docker-init or catatonit.",
    ),
    (
        r"bind source path does not exist|error while creating mount source path",
        DiskNotShared,
        "The container engine no longer shares this machine's disk",
        "It did when the first container started: restart the worker.",
    ),
    (
        r"executable file not found|exec: .*no such file or directory|stat .*no such file or directory",
        BlenderMissing,
        "The image has no such program",
        "Build one that has it with `renderctl images build`.",
    ),
    (
        r"memory limit|Range of CPUs|CPUs|pids limit|swap limit",
        EngineRefused,
        "The container engine does not accept the limits",
        "Check executor.memory_mb, executor.cpus and executor.pids of the config.",
    ),
    (r"no such image|manifest unknown|pull access denied", ImageMissing, "There is no such image", ""),
)
_SIGNAL_OFFSET = 128


def explain_refusal(error: Unreachable, explanation: str) -> Unreachable:
    """Return a more specific error with a hint for known messages, else the error."""
    for pattern, error_type, meaning, hint in _REFUSALS:
        if re.search(pattern, explanation, re.IGNORECASE):
            return error_type(f"{meaning}: {explanation}.", hint=hint or None)
    return error


def exit_status_of(
    state: Mapping[str, Any], memory_mb: int, *, stop_requested: bool, killed_by_others: bool
) -> ExitStatus:
    """Return the exit status of a container by the engine's state of it."""
    code = int(state.get("ExitCode", 0))
    signal_number = code - _SIGNAL_OFFSET if _SIGNAL_OFFSET < code <= _SIGNAL_OFFSET + signal.SIGRTMAX else None
    if signal_number is None:
        return ExitStatus(code)
    if signal_number == signal.SIGKILL and state.get("OOMKilled") and not stop_requested:
        reason = f"Blender ran out of memory and was killed: its container has {memory_mb} MB (executor.memory_mb)."
        detail = f"killed at its limit of {memory_mb} MB: out of memory"
        return ExitStatus(None, signal_number, True, detail, Failure(Fault.MACHINE, reason))
    if killed_by_others:
        reason = f"Another client ended Blender's container by signal {signal_number}."
        return ExitStatus(
            None, signal_number, detail=f"signal {signal_number}, by hand", failure=Failure(Fault.MACHINE, reason)
        )
    if signal_number == signal.SIGKILL and not stop_requested:
        reason = "Blender was killed inside its container, not for memory."
        return ExitStatus(None, signal_number, failure=Failure(Fault.MACHINE, reason))
    return ExitStatus(None, signal_number)


def removed() -> ExitStatus:
    """Return the status of a container that another client removed."""
    reason = "Another client removed Blender's container while it ran."
    return ExitStatus(None, signal.SIGKILL, detail="removed by hand", failure=Failure(Fault.MACHINE, reason))


def engine_away(reason_text: str) -> ExitStatus:
    """Return the status of a container whose engine is out of reach."""
    reason = f"The container engine went away while Blender ran: {reason_text}"
    return ExitStatus(None, detail="the container engine went away", failure=Failure(Fault.MACHINE, reason))


def line_too_long() -> ExitStatus:
    """Return the status of a session that was killed for an overlong line."""
    return killed_for_scene(
        "it printed an endless line", "The scene's scripts disturbed the session protocol and were killed."
    )
