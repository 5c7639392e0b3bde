"""`doctor`: every configured part, tried; it does not stop at the first that is broken."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

from renderctl.actors import Actor
from renderctl.farm import Farm
from renderctl.farm.doctor import ground
from renderctl.farm.doctor.blenders import blenders
from renderctl.farm.doctor.crew import crew
from renderctl.farm.doctor.findings import Finding, tried
from renderctl.farm.gate import admit

__all__ = ["Finding", "crew", "doctor", "parts"]


def doctor(farm: Farm, *, actor: Actor) -> list[Finding]:
    """Check the config, the database, the ports, every Blender, which is started, and who is at work."""
    admit(farm, actor, "farm.check")
    findings = [*parts(farm), *blenders(farm)]
    if all(each.ok for each in findings if each.part == "database"):
        findings += crew(farm)
    return findings


def parts(farm: Farm) -> list[Finding]:
    """All that the config names, tried side by side: one that does not answer takes its time."""
    settings = farm.settings
    # A port opens when it is first asked for something, so that is tried, too: hence the lambdas.
    checks = [
        partial(tried, "config", partial(ground.config, settings), partial(ground.config_advice, settings)),
        partial(
            tried, "data folder", partial(ground.data_folder, settings), partial(ground.data_folder_advice, settings)
        ),
        partial(tried, "database", lambda: farm.repository.check(), lambda: farm.repository.advice()),
        partial(tried, "store", lambda: farm.store.check()),
        partial(tried, "queue", lambda: farm.queue.check()),
        partial(tried, "cache", lambda: farm.cache.check()),
        partial(tried, "executor", lambda: farm.executor.check(), lambda: farm.executor.advice()),
        partial(tried, "decoder", lambda: farm.decoder.check(), lambda: farm.decoder.advice()),
    ]
    with ThreadPoolExecutor(len(checks)) as threads:
        return list(threads.map(lambda check: check(), checks))
