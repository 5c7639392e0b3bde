"""`doctor`: every configured part, tried; it does not stop at the first that is broken."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

from renderctl.core.actors import Actor
from renderctl.farm import Farm
from renderctl.farm.authorization import require
from renderctl.farm.doctor import machine
from renderctl.farm.doctor.blenders import blenders
from renderctl.farm.doctor.findings import Finding, check_part
from renderctl.farm.doctor.workers import crew

__all__ = ["Finding", "crew", "doctor", "parts"]


def doctor(farm: Farm, actor: Actor) -> list[Finding]:
    """Check the config, the database, the ports, every Blender, which is started, and who is at work."""
    require(farm, actor, "farm.diagnose")
    findings = [*parts(farm), *blenders(farm)]
    if all(finding.ok for finding in findings if finding.part == "database"):
        findings += crew(farm)
    return findings


def parts(farm: Farm) -> list[Finding]:
    """All that the config names, tried side by side: one that does not answer takes its time."""
    settings = farm.settings
    # A port opens when it is first asked for something, so that is tried, too: hence the lambdas.
    checks = [
        partial(check_part, "config", partial(machine.config, settings), partial(machine.config_advice, settings)),
        partial(
            check_part,
            "data folder",
            partial(machine.data_folder, settings),
            partial(machine.data_folder_advice, settings),
        ),
        partial(
            check_part,
            "database",
            lambda: farm.repository.diagnostics.check(),
            lambda: farm.repository.diagnostics.advice(),
        ),
        partial(check_part, "store", lambda: farm.store.check()),
        partial(check_part, "queue", lambda: farm.queue.check()),
        partial(check_part, "cache", lambda: farm.cache.check()),
        partial(check_part, "executor", lambda: farm.executor.check(), lambda: farm.executor.advice()),
        partial(check_part, "decoder", lambda: farm.decoder.check(), lambda: farm.decoder.advice()),
    ]
    with ThreadPoolExecutor(len(checks)) as threads:
        return list(threads.map(lambda check: check(), checks))
