"""The exceptions of a session, by who is at fault, and helpers for their texts."""

import difflib
import re
from collections.abc import Iterable


class SceneFault(Exception):
    """The scene or the request is wrong: a retry cannot help."""

    kind = "scene"

    def __init__(self, reason: str, *, whole_job: bool = True) -> None:
        super().__init__(reason)
        self.whole_job = whole_job


class MachineFault(Exception):
    """This machine failed: another one, or a retry, may succeed."""

    kind = "machine"

    def __init__(self, reason: str, *, whole_job: bool = False) -> None:
        super().__init__(reason)
        self.whole_job = whole_job


#: Messages of Blender that blame the machine (Cycles' device code, the image writers, EEVEE).
MACHINE_WORDS = re.compile(
    r"out of (gpu )?(and shared host )?memory|out of memory|failed to create (cuda|hip|optix) context|"
    r"failed to build optix|illegal address|(cuda|hip|optix|oneapi) error|device lost|no space left|"
    r"cannot save|read-only file system|permission denied|input/output error|no such file or directory",
    re.IGNORECASE,
)


def fault_of_error(error: Exception, *, whole_job: bool = False) -> SceneFault | MachineFault:
    """Classify an error that Blender raised while rendering."""
    text = sentence(str(error))
    if re.search(r"out of .*memory", text, re.IGNORECASE):
        return MachineFault(f"The machine ran out of memory: {text}", whole_job=whole_job)
    if MACHINE_WORDS.search(text):
        return MachineFault(text, whole_job=whole_job)
    return SceneFault(text, whole_job=whole_job)


def sentence(text: str) -> str:
    """Turn Blender's error text into one sentence on one line, without its `Error:` prefix."""
    lines = [line.strip().rstrip(".") for line in text.strip().splitlines() if line.strip()]
    joined = "; ".join(re.sub(r"^(Error|Warning): ?", "", line) for line in lines)
    return joined if joined.endswith((".", "!", "?")) else joined + "."


def unknown_name(what: str, name: str, known: Iterable[str]) -> SceneFault:
    """Return the fault for an unknown name, with the closest known one or a list of them."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return SceneFault(f"There is no {what} {name!r}. Did you mean {near[0]!r}?")
    return SceneFault(f"There is no {what} {name!r}. Available: {comma_separated(names)}.")


def comma_separated(names: Iterable[str], most: int = 12) -> str:
    """Join names with commas, cut off after `most`."""
    every = list(names)
    rest = f", … ({len(every)} in all)" if len(every) > most else ""
    return (", ".join(every[:most]) + rest) or "none"
