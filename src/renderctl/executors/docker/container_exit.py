"""Why a container did not start, and how one ended."""

import re
import signal
from collections.abc import Mapping
from typing import Any

from renderctl.core.errors import BlenderMissing, EngineRefused, ImageMissing, Unreachable
from renderctl.core.jobs import Failure, Fault
from renderctl.executors import ExitStatus
from renderctl.executors.exit_reasons import misbehaved


class EngineBlind(EngineRefused):
    """The container engine does not see this machine's disk."""


#: What engines say when a container can not start: a pattern, what it means, and what to do.
_REFUSALS: tuple[tuple[str, type[Unreachable], str, str], ...] = (
    (
        r"could not select device driver|nvidia-container-cli|unknown device|no such device|CDI device",
        EngineRefused,
        "The container engine has no such GPU",
        "executor.gpus of the config names those that there are; they need the NVIDIA container toolkit.",
    ),
    (
        r"no space left on device|disk quota exceeded",
        EngineRefused,
        "The disk of the container engine is full",
        "`docker system df` says what takes the room; `renderctl images rm` removes images.",
    ),
    (
        r"docker-init|catatonit",
        EngineRefused,
        "The container engine lacks its init program",
        "It belongs to the engine: the package tini, docker-init or catatonit.",
    ),
    (
        r"bind source path does not exist|error while creating mount source path",
        EngineBlind,
        "The container engine does not see this machine's disk any more",
        "It did when the first container was started: start the worker again.",
    ),
    (
        r"executable file not found|exec: .*no such file or directory|stat .*no such file or directory",
        BlenderMissing,
        "The image has no such program",
        "`renderctl images build` makes one that has.",
    ),
    (
        r"memory limit|Range of CPUs|CPUs|pids limit|swap limit",
        EngineRefused,
        "The container engine does not take these limits",
        "executor.memory_mb, executor.cpus and executor.pids of the config say them.",
    ),
    (r"no such image|manifest unknown|pull access denied", ImageMissing, "There is no such image", ""),
)
_SIGNALED = 128


def of_refusal(error: Unreachable, explanation: str) -> Unreachable:
    """The error with what it means and what to do, where we know that."""
    for pattern, kind, meaning, hint in _REFUSALS:
        if re.search(pattern, explanation, re.IGNORECASE):
            return kind(f"{meaning}: {explanation}.", hint=hint or None)
    return error


def of_state(state: Mapping[str, Any], memory_mb: int, *, stopped_by_us: bool, by_hand: bool) -> ExitStatus:
    """How a container ended, by the engine's account of it."""
    code = int(state.get("ExitCode", 0))
    number = code - _SIGNALED if _SIGNALED < code <= _SIGNALED + signal.SIGRTMAX else None
    if number is None:
        return ExitStatus(code)
    if number == signal.SIGKILL and state.get("OOMKilled") and not stopped_by_us:
        reason = f"Blender ran out of memory and was killed: its container has {memory_mb} MB (executor.memory_mb)."
        detail = f"killed at its limit of {memory_mb} MB: out of memory"
        return ExitStatus(None, number, True, detail, Failure(Fault.MACHINE, reason))
    if by_hand:
        reason = f"Somebody ended Blender's container by signal {number}."
        return ExitStatus(None, number, detail=f"signal {number}, by hand", failure=Failure(Fault.MACHINE, reason))
    if number == signal.SIGKILL and not stopped_by_us:
        reason = "Blender was killed inside its container; it had memory enough."
        return ExitStatus(None, number, failure=Failure(Fault.MACHINE, reason))
    return ExitStatus(None, number)


def removed() -> ExitStatus:
    """Somebody has removed the container."""
    reason = "Somebody removed Blender's container while it ran."
    return ExitStatus(None, signal.SIGKILL, detail="removed by hand", failure=Failure(Fault.MACHINE, reason))


def engine_away(why: str) -> ExitStatus:
    """Nobody can say how the container is: its engine does not answer."""
    reason = f"The container engine went away while Blender ran: {why}"
    return ExitStatus(None, detail="the container engine went away", failure=Failure(Fault.MACHINE, reason))


def overlong() -> ExitStatus:
    """It was killed for what it said."""
    return misbehaved("it said a line without end", "The scene's scripts disturbed Blender's answers, and were ended.")
