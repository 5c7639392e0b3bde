"""Which settings can not be, alone or together."""

import re
from collections.abc import Mapping
from dataclasses import fields
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING

from renderctl.core.errors import BadSettings, did_you_mean
from renderctl.core.limits import MAX_COUNT

if TYPE_CHECKING:
    from renderctl.core.settings import Settings
    from renderctl.core.settings.groups import ServeSettings

_PREFIX = "RENDERCTL_"
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9])?")
#: What a kind may be; another implementation of a port adds its name here.
KINDS: Mapping[str, tuple[str, ...]] = {
    "store": ("local", "minio"),
    "queue": ("sqlite", "rabbitmq"),
    "cache": ("sqlite", "redis"),
    "executor": ("process", "docker"),
}


#: What a kind can not do without.
NEEDED: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("store", "minio"): ("endpoint", "access_key", "secret_key"),
    ("queue", "rabbitmq"): ("url",),
    ("cache", "redis"): ("url",),
}


def check(settings: "Settings") -> None:
    """Raises BadSettings for what can not be, naming the key."""
    for port, kinds in KINDS.items():
        kind = getattr(settings, port).kind
        if kind not in kinds:
            raise BadSettings(f"There is no {port} of kind {kind!r}.", hint=did_you_mean(kind, list(kinds)))
        for key in NEEDED.get((port, kind), ()):
            if not getattr(getattr(settings, port), key):
                variable = f"{_PREFIX}{port.upper()}__{key.upper()}"
                raise BadSettings(
                    f"A {port} of kind {kind} needs {port}.{key}.", hint=f"Set it in the config, or as {variable}."
                )
    _check_worker(settings)
    decoder = settings.decoder
    if decoder.memory_mb < 256 or decoder.timeout <= 0 or decoder.image_mb < 1 or settings.worker.log_mb < 1:
        raise BadSettings("decoder.memory_mb is 256 or more; its timeout and image_mb, and worker.log_mb, are above 0.")
    _check_serving(settings)
    _check_webhooks(settings)
    _check_upload(settings)
    _check_quotas(settings)
    executor = settings.executor
    if min(executor.memory_mb or 64, executor.scratch_mb, executor.pids) < 64 or (executor.cpus or 1) <= 0:
        raise BadSettings("executor.memory_mb, scratch_mb and pids are 64 or more, executor.cpus is above 0.")
    for name, paths in (("reads", executor.reads), ("writes", executor.writes)):
        if any(not path.startswith("/") for path in paths):
            raise BadSettings(f"executor.{name} names folders by absolute paths.", hint="They begin with a slash.")


def _check_serving(settings: "Settings") -> None:
    if not 0 <= settings.serve.port < 1 << 16 or settings.serve.upload_mb < 1:
        raise BadSettings("serve.port is a port, 0 to 65535, and serve.upload_mb is above 0.")
    _check_limits(settings.serve)
    if not 0.1 <= settings.serve.session_idle_hours <= 168:
        raise BadSettings("serve.session_idle_hours is 0.1 to 168: a log-in ends after seven days in any case.")
    if settings.serve.inspect_mb < 512:
        raise BadSettings("serve.inspect_mb is 512 or more: a Blender that looks at a scene needs so much at least.")
    if settings.server.url is not None and not settings.server.url.startswith(("http://", "https://")):
        raise BadSettings("server.url is no address of a server.", hint="It begins with https:// or http://.")


def _check_upload(settings: "Settings") -> None:
    for root in settings.upload.roots:
        if not Path(root).expanduser().is_absolute():
            raise BadSettings(f"upload.roots has {root!r}.", hint="It is a folder from / or ~ on: ~/projects.")


def _check_limits(serve: "ServeSettings") -> None:
    if serve.body_kb < 64 or min(serve.header_timeout, serve.body_timeout, serve.send_timeout) <= 0:
        raise BadSettings("serve.body_kb is 64 or more; serve.header_timeout, body_timeout, send_timeout are above 0.")
    if min(serve.connections, serve.connections_per_address, serve.streams_per_user) < 2:
        raise BadSettings("serve.connections, connections_per_address and streams_per_user are 2 or more.")
    for each in serve.hosts:
        if not _HOST.fullmatch(each) and not _is_address(each.strip("[]")):
            hint = "It is a host's name, such as farm.example.org, or an address, without a port."
            raise BadSettings(f"serve.hosts has {each!r}, which is neither.", hint=hint)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _check_webhooks(settings: "Settings") -> None:
    hooks = settings.webhooks
    if not 0 < hooks.timeout <= 60:
        raise BadSettings("webhooks.timeout is above 0, and 60 at most.")
    for each in hooks.allow:
        try:
            ip_network(each)
        except ValueError as error:
            if not _HOST.fullmatch(each):
                hint = "It is a host's name, such as ci.farm.lan, or a network, such as 10.0.0.0/8."
                raise BadSettings(f"webhooks.allow has {each!r}, which is neither.", hint=hint) from error
    if hooks.farm_url is not None and not hooks.farm_url.startswith(("http://", "https://")):
        raise BadSettings("webhooks.farm_url is no address of a server.", hint="It begins with https:// or http://.")


def _check_quotas(settings: "Settings") -> None:
    for each in fields(settings.quota):
        limit = getattr(settings.quota, each.name)
        if limit is not None and not 1 <= limit <= MAX_COUNT >> 20:
            raise BadSettings(f"quota.{each.name} is 1 or more, and no astronomical number.", hint="null: no limit.")
    if settings.store.min_free_mb < 0:
        raise BadSettings("store.min_free_mb is 0 or more.")


def _check_worker(settings: "Settings") -> None:
    worker = settings.worker
    if worker.slots < 1 or worker.heartbeat <= 0 or worker.quantum <= 0 or not worker.pools:
        raise BadSettings("A worker has one slot or more, a pool or more, a heartbeat and a quantum above 0.")
    if worker.heartbeat_limit < 2 * worker.heartbeat:
        limit = f"worker.heartbeat_limit ({worker.heartbeat_limit} s)"
        raise BadSettings(
            f"{limit} is too short for a heartbeat every {worker.heartbeat} s.",
            hint="Make it three times the heartbeat.",
        )
    blender = settings.blender
    frame_timeout = blender.start_timeout if blender.frame_timeout is None else blender.frame_timeout
    if min(blender.start_timeout, blender.stall_timeout, frame_timeout) <= 0:
        raise BadSettings("Blender's start_timeout, stall_timeout and frame_timeout are above 0.")
    if min(blender.idle_timeout, blender.threads, worker.cache_mb, worker.min_free_mb) < 0:
        raise BadSettings("blender.idle_timeout, blender.threads, worker.cache_mb and min_free_mb are 0 or more.")
    _check_kept(settings)


def _check_kept(settings: "Settings") -> None:
    for name, secret in (("audit.key", settings.audit.key), ("serve.metrics_token", settings.serve.metrics_token)):
        if secret is not None and len(secret) < 32:
            hint = "It has 32 characters or more: `openssl rand -hex 32` makes one."
            raise BadSettings(f"{name} is too short.", hint=hint)
    kept = settings.retention
    limits = (getattr(kept, each.name) for each in fields(kept))
    if any(limit is not None and not 0 <= limit < 1e6 for limit in limits):
        raise BadSettings("What retention keeps it keeps for 0 or more days or hours.", hint="null keeps for ever.")
