"""`doctor`: every configured part, tried; it does not stop at the first that is broken."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from renderctl.blender.failures import SessionFailed
from renderctl.blender.find import Blender, find_blenders
from renderctl.blender.libraries import missing_libraries, require_libraries
from renderctl.errors import OutputNotWritable, RenderctlError, Unreachable
from renderctl.farm import Farm
from renderctl.farm.blenders import limits, start_session
from renderctl.farm.scratch import scratch_of


@dataclass(frozen=True)
class Finding:
    """What was found out about one part."""

    part: str
    ok: bool
    finding: str
    hint: str | None = None


def doctor(farm: Farm) -> list[Finding]:
    """Check the config, the database, the ports and every Blender, each of which is started."""
    source = farm.settings.source  # a port opens when it is first asked for something, so that is tried, too
    return [
        Finding("config", True, str(source) if source else "none: everything has its default"),
        _tried("data folder", partial(_data_folder, farm)),
        _tried("database", lambda: farm.repository.check()),
        _tried("store", lambda: farm.store.check()),
        _tried("queue", lambda: farm.queue.check()),
        _tried("cache", lambda: farm.cache.check()),
        _tried("executor", lambda: farm.executor.check()),
        *_blenders(farm),
    ]


def _data_folder(farm: Farm) -> str:
    folder = farm.settings.data_dir
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        hint = "Choose another with data_dir in the config, or RENDERCTL_DATA_DIR."
        raise OutputNotWritable(f"{folder} can not be written to.", hint=hint)
    return str(folder)


def _blenders(farm: Farm) -> Iterator[Finding]:
    """One for each Blender, and one for each place where there should be one."""
    sound = []
    for path in farm.settings.blender.paths:
        named = _tried("Blender", partial(_look_for, farm, path))
        if named.ok:
            sound.append(path)
        else:
            yield named
    try:
        found = find_blenders(sound, cache_dir=farm.settings.data_dir)
    except (RenderctlError, OSError) as error:
        yield _broken("Blender", error)
        return
    for blender in found:
        yield _tried("Blender", partial(_sound, farm, blender))


def _look_for(farm: Farm, path: str) -> str:
    return ", ".join(each.label for each in find_blenders([path], cache_dir=farm.settings.data_dir))


def _sound(farm: Farm, blender: Blender) -> str:
    require_libraries(blender)
    said = [blender.label, _devices(farm, blender)]
    if missing := missing_libraries(blender, drawing=True):
        said.append(f"EEVEE and Workbench need the package {', '.join(missing)}")
    return "; ".join(said)


def _devices(farm: Farm, blender: Blender) -> str:
    """What it can render on, as it says itself."""
    with scratch_of(farm, "doctor") as scratch, closing(start_session(farm, blender, scratch)) as session:
        try:
            session.started(limits(farm))
            return f"renders on {', '.join(session.devices(limits(farm)))}"
        except SessionFailed as error:
            raise Unreachable(f"{blender.label} does not work: {error.failure.reason}") from error


def _tried(part: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(part, True, check())
    except (RenderctlError, OSError) as error:
        return _broken(part, error)


def _broken(part: str, error: RenderctlError | OSError) -> Finding:
    if isinstance(error, RenderctlError):
        return Finding(part, False, error.message, error.hint)
    return Finding(part, False, f"{error.filename or part}: {error.strerror or error}.")
