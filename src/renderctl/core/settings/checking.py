"""Validation of settings, alone and in combination."""

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
#: The kinds of each port; another implementation adds its name here.
KINDS: Mapping[str, tuple[str, ...]] = {
    "store": ("local", "minio"),
    "queue": ("sqlite", "rabbitmq"),
    "cache": ("sqlite", "redis"),
    "executor": ("process", "docker"),
}

#: The keys that a kind requires.
REQUIRED_KEYS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("store", "minio"): ("endpoint", "access_key", "secret_key"),
    ("queue", "rabbitmq"): ("url",),
    ("cache", "redis"): ("url",),
}


def check(settings: "Settings") -> None:
    """Validate all settings. Raises BadSettings, which names the key."""
    for port, kinds in KINDS.items():
        kind = getattr(settings, port).kind
        if kind not in kinds:
            raise BadSettings(f"There is no {port} of kind {kind!r}.", hint=did_you_mean(kind, list(kinds)))
        for key in REQUIRED_KEYS.get((port, kind), ()):
            if not getattr(getattr(settings, port), key):
                variable = f"{_PREFIX}{port.upper()}__{key.upper()}"
                raise BadSettings(
                    f"A {port} of kind {kind} needs {port}.{key}.", hint=f"Set it in the config, or as {variable}."
                )
    _check_worker(settings)
    decoder = settings.decoder
    if decoder.memory_mb < 256 or decoder.timeout <= 0 or decoder.image_mb < 1 or settings.worker.log_mb < 1:
        raise BadSettings(
            "decoder.memory_mb must be 256 or more; decoder.timeout, decoder.image_mb and worker.log_mb above 0."
        )
    _check_serving(settings)
    _check_webhooks(settings)
    _check_upload(settings)
    _check_quotas(settings)
    executor = settings.executor
    if min(executor.memory_mb or 64, executor.scratch_mb, executor.pids) < 64 or (executor.cpus or 1) <= 0:
        raise BadSettings("executor.memory_mb, scratch_mb and pids must be 64 or more, executor.cpus above 0.")
    for name, paths in (("reads", executor.reads), ("writes", executor.writes)):
        if any(not path.startswith("/") for path in paths):
            raise BadSettings(f"executor.{name} must list absolute paths.", hint="They begin with a slash.")


def _check_serving(settings: "Settings") -> None:
    if not 0 <= settings.serve.port < 1 << 16 or settings.serve.upload_mb < 1:
        raise BadSettings("serve.port must be a port, 0 to 65535, and serve.upload_mb above 0.")
    _check_limits(settings.serve)
    if not 0.1 <= settings.serve.session_idle_hours <= 168:
        raise BadSettings(
            "serve.session_idle_hours must be 0.1 to 168: a web session ends after seven days in any case."
        )
    if settings.serve.inspect_mb < 512:
        raise BadSettings("serve.inspect_mb must be 512 or more: Blender needs that much to inspect a scene.")
    if settings.server.url is not None and not settings.server.url.startswith(("http://", "https://")):
        raise BadSettings("server.url is not the URL of a server.", hint="It must begin with https:// or http://.")


def _check_upload(settings: "Settings") -> None:
    for root in settings.upload.roots:
        if not Path(root).expanduser().is_absolute():
            raise BadSettings(f"upload.roots has {root!r}.", hint="It must be an absolute folder, such as ~/projects.")


def _check_limits(serve: "ServeSettings") -> None:
    if serve.body_kb < 64 or min(serve.header_timeout, serve.body_timeout, serve.send_timeout) <= 0:
        raise BadSettings("serve.body_kb must be 64 or more; header_timeout, body_timeout and send_timeout above 0.")
    if min(serve.connections, serve.connections_per_address, serve.streams_per_user) < 2:
        raise BadSettings("serve.connections, connections_per_address and streams_per_user must be 2 or more.")
    for host in serve.hosts:
        if not _HOST.fullmatch(host) and not _is_address(host.strip("[]")):
            hint = "Write a host name, such as farm.example.org, or an IP address, without a port."
            raise BadSettings(f"serve.hosts has {host!r}, which is not a host.", hint=hint)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _check_webhooks(settings: "Settings") -> None:
    hooks = settings.webhooks
    if not 0 < hooks.timeout <= 60:
        raise BadSettings("webhooks.timeout must be above 0 and at most 60.")
    for receiver in hooks.allow:
        try:
            ip_network(receiver)
        except ValueError as error:
            if not _HOST.fullmatch(receiver):
                hint = "Write a host name, such as ci.farm.lan, or a network, such as 10.0.0.0/8."
                raise BadSettings(
                    f"webhooks.allow has {receiver!r}, which is neither a host nor a network.", hint=hint
                ) from error
    if hooks.farm_url is not None and not hooks.farm_url.startswith(("http://", "https://")):
        raise BadSettings(
            "webhooks.farm_url is not the URL of a server.", hint="It must begin with https:// or http://."
        )


def _check_quotas(settings: "Settings") -> None:
    for setting in fields(settings.quota):
        limit = getattr(settings.quota, setting.name)
        if limit is not None and not 1 <= limit <= MAX_COUNT >> 20:
            raise BadSettings(f"quota.{setting.name} must be 1 to {MAX_COUNT >> 20}.", hint="null means no limit.")
    if settings.store.min_free_mb < 0:
        raise BadSettings("store.min_free_mb must be 0 or more.")


def _check_worker(settings: "Settings") -> None:
    worker = settings.worker
    if worker.slots < 1 or worker.heartbeat <= 0 or worker.quantum <= 0 or not worker.pools:
        raise BadSettings(
            "worker.slots must be 1 or more, worker.pools not empty, worker.heartbeat and worker.quantum above 0."
        )
    if worker.heartbeat_limit < 2 * worker.heartbeat:
        limit = f"worker.heartbeat_limit ({worker.heartbeat_limit} s)"
        raise BadSettings(
            f"{limit} is too short for a heartbeat every {worker.heartbeat} s.",
            hint="Set it to three times the heartbeat.",
        )
    blender = settings.blender
    frame_timeout = blender.start_timeout if blender.frame_timeout is None else blender.frame_timeout
    if min(blender.start_timeout, blender.stall_timeout, frame_timeout) <= 0:
        raise BadSettings("blender.start_timeout, stall_timeout and frame_timeout must be above 0.")
    if min(blender.idle_timeout, blender.threads, worker.cache_mb, worker.min_free_mb) < 0:
        raise BadSettings("blender.idle_timeout, blender.threads, worker.cache_mb and min_free_mb must be 0 or more.")
    _check_retention(settings)


def _check_retention(settings: "Settings") -> None:
    for name, secret in (("audit.key", settings.audit.key), ("serve.metrics_token", settings.serve.metrics_token)):
        if secret is not None and len(secret) < 32:
            hint = "It must have 32 characters or more: `openssl rand -hex 32` prints one."
            raise BadSettings(f"{name} is too short.", hint=hint)
    retention = settings.retention
    limits = (getattr(retention, setting.name) for setting in fields(retention))
    if any(limit is not None and not 0 <= limit < 1e6 for limit in limits):
        raise BadSettings("The settings of retention must be 0 or more days or hours.", hint="null keeps for ever.")
