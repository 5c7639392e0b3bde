"""Every Blender, started once."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial

from renderctl.blender.failures import SessionFailed
from renderctl.blender.find import Blender, find_blenders
from renderctl.blender.libraries import missing_libraries, require_libraries
from renderctl.core.errors import RenderctlError, Unreachable
from renderctl.farm import Farm
from renderctl.farm.blenders import known_blenders, limits, start_session
from renderctl.farm.doctor.findings import Finding, broken, check_part
from renderctl.farm.scratch import scratch_of


def blenders(farm: Farm) -> Iterator[Finding]:
    """One for each Blender, and one for each place where there should be one."""
    if farm.settings.executor.kind != "process":
        yield from _of_images(farm)
        return
    sound = []
    for path in farm.settings.blender.paths:
        named = check_part("Blender", partial(_look_for, farm, path))
        if named.ok:
            sound.append(path)
        else:
            yield named
    try:
        found = find_blenders(sound, cache_dir=farm.settings.data_dir)
    except (RenderctlError, OSError) as error:
        yield broken("Blender", error)
        return
    for blender in found:
        yield check_part("Blender", partial(_sound, farm, blender))


def _of_images(farm: Farm) -> Iterator[Finding]:
    try:
        found = known_blenders(farm)
    except (RenderctlError, OSError) as error:
        yield broken("Blender", error)
        return
    for blender in found:
        yield check_part("Blender", partial(_in_container, farm, blender))


def _in_container(farm: Farm, blender: Blender) -> str:
    finding = f"{blender.label}; {_devices(farm, blender)}"
    return (
        finding
        if farm.executor.shares_disk
        else f"{finding}; its engine has another disk: files are carried in and out"
    )


def _look_for(farm: Farm, path: str) -> str:
    return ", ".join(blender.label for blender in find_blenders([path], cache_dir=farm.settings.data_dir))


def _sound(farm: Farm, blender: Blender) -> str:
    require_libraries(blender)
    parts = [blender.label, _devices(farm, blender)]
    if missing := missing_libraries(blender, opengl=True):
        parts.append(f"EEVEE and Workbench need the package {', '.join(missing)}")
    return "; ".join(parts)


def _devices(farm: Farm, blender: Blender) -> str:
    """What it can render on, as it says itself."""
    with scratch_of(farm, "doctor") as scratch, closing(start_session(farm, blender, scratch / "session")) as session:
        try:
            session.wait_started(limits(farm))
            return f"renders on {', '.join(session.devices(limits(farm)))}"
        except SessionFailed as error:
            raise Unreachable(f"{blender.label} does not work: {error.failure.reason}") from error
