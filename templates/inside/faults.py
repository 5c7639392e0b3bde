"""Whose fault it is that something failed, and how to say so."""

import difflib
import re
from collections.abc import Iterable


class SceneFault(Exception):
    """The scene, or what was asked of it, is wrong: a retry can not help."""

    kind = "scene"

    def __init__(self, reason: str, *, whole_job: bool = True) -> None:
        super().__init__(reason)
        self.whole_job = whole_job


class MachineFault(Exception):
    """This machine could not do it: another one, or a later try, may."""

    kind = "machine"

    def __init__(self, reason: str, *, whole_job: bool = False) -> None:
        super().__init__(reason)
        self.whole_job = whole_job


#: What Blender says when the machine is to blame (Cycles' device code, the image writers, EEVEE).
MACHINE_WORDS = re.compile(
    r"out of (gpu )?(and shared host )?memory|out of memory|failed to create (cuda|hip|optix) context|"
    r"failed to build optix|illegal address|(cuda|hip|optix|oneapi) error|device lost|no space left|"
    r"cannot save|read-only file system|permission denied|input/output error|no such file or directory",
    re.IGNORECASE,
)


def from_blender(error: Exception, *, whole_job: bool = False) -> SceneFault | MachineFault:
    """The fault behind an error that Blender raised while it rendered."""
    text = sentence(str(error))
    if re.search(r"out of .*memory", text, re.IGNORECASE):
        return MachineFault(f"The machine ran out of memory: {text}", whole_job=whole_job)
    if MACHINE_WORDS.search(text):
        return MachineFault(text, whole_job=whole_job)
    return SceneFault(text, whole_job=whole_job)


def sentence(text: str) -> str:
    """An error text of Blender's, in one line, without its `Error:` in front, ending like a sentence."""
    lines = [line.strip().rstrip(".") for line in text.strip().splitlines() if line.strip()]
    joined = "; ".join(re.sub(r"^(Error|Warning): ?", "", line) for line in lines)
    return joined if joined.endswith((".", "!", "?")) else joined + "."


def no_such(what: str, name: str, known: Iterable[str]) -> SceneFault:
    """The fault of a name that is not there, with the likeliest one that was meant, or what there is."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return SceneFault(f"There is no {what} {name!r}. Did you mean {near[0]!r}?")
    return SceneFault(f"There is no {what} {name!r}. There is: {listed(names)}.")


def listed(names: Iterable[str], most: int = 12) -> str:
    """`a, b, c`, cut off after a dozen."""
    every = list(names)
    rest = f", … ({len(every)} in all)" if len(every) > most else ""
    return (", ".join(every[:most]) + rest) or "none"
