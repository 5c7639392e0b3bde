"""`doctor`: every configured part, tried; it does not stop at the first that is broken."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from renderctl.blender.find import Blender
from renderctl.blender.libraries import missing_libraries, require_libraries
from renderctl.errors import RenderctlError
from renderctl.farm import Farm
from renderctl.farm.blenders import known_blenders


@dataclass(frozen=True)
class Finding:
    """What was found out about one part."""

    part: str
    ok: bool
    finding: str
    hint: str | None = None


def doctor(farm: Farm) -> list[Finding]:
    """Check the config, the database, the ports and every Blender."""
    source = farm.settings.source
    findings = [
        Finding("config", True, str(source) if source else "none: everything has its default"),
        Finding("data folder", True, str(farm.settings.data_dir)),
        _tried("database", farm.repository.check),
        _tried("store", farm.store.check),
        _tried("queue", farm.queue.check),
        _tried("cache", farm.cache.check),
        _tried("executor", farm.executor.check),
    ]
    return [*findings, *_blenders(farm)]


def _blenders(farm: Farm) -> Iterator[Finding]:
    try:
        found = known_blenders(farm)
    except RenderctlError as error:
        yield Finding("Blender", False, error.message, error.hint)
        return
    for blender in found:
        yield _tried("Blender", partial(_sound, blender))


def _sound(blender: Blender) -> str:
    require_libraries(blender)
    if missing := missing_libraries(blender, drawing=True):
        return f"{blender.label}; EEVEE and Workbench need {', '.join(missing)}"
    return blender.label


def _tried(part: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(part, True, check())
    except RenderctlError as error:
        return Finding(part, False, error.message, error.hint)
