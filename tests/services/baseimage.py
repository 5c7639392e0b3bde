"""The image that ours begin with, for an engine that has it not: pulled, else made of Debian's packages, once."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import docker
from docker.errors import APIError, ImageNotFound
from platformdirs import user_cache_path

BASE = "debian:bookworm-slim"
BOOTSTRAP_S = 1200.0
CACHE = user_cache_path("renderctl-tests")

#: What the slim image of the same name leaves out, now and of every package that is installed later.
_SLIM = "\n".join(
    [
        *(
            f"path-exclude /usr/share/{each}/*"
            for each in ("doc", "groff", "info", "linda", "lintian", "locale", "man")
        ),
        "path-include /usr/share/doc/*/copyright",
        "path-include /usr/share/locale/locale.alias\n",
    ]
)
_SOURCES = """\
deb http://deb.debian.org/debian bookworm main
deb http://deb.debian.org/debian bookworm-updates main
deb http://deb.debian.org/debian-security bookworm-security main
"""
_LEFT_OUT = ("var/lib/apt/lists", "var/cache/apt", "var/log", "usr/share/doc", "usr/share/man", "usr/share/locale")


def load_base(host: str, run: Callable[..., str]) -> None:
    """Have the engine at `host` have it; `run` runs a command. Raises ServerFailed."""
    client = docker.DockerClient(host)
    try:
        client.images.get(BASE)
    except ImageNotFound:
        try:
            client.images.pull(BASE)
        except APIError:  # no registry
            name, _, tag = BASE.partition(":")
            changes = ['CMD ["bash"]', "LABEL org.opencontainers.image.title=debian"]
            client.api.import_image_from_file(str(_tarball(run)), name, tag, changes)
    finally:
        client.close()


def _tarball(run: Callable[..., str]) -> Path:
    """The files of the image: made by whoever comes first."""
    CACHE.mkdir(parents=True, exist_ok=True)
    tarball = CACHE / "debian-bookworm-slim.tar"
    with (CACHE / "debian-bookworm-slim.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tarball.exists():
            folder = Path(tempfile.mkdtemp(prefix="renderctl-base-"))
            try:
                _bootstrap(folder, run)
                part = tarball.with_suffix(f".{os.getpid()}")
                run("tar", "-C", str(folder), "-cf", str(part), "--exclude=./dev/*", ".")
                part.replace(tarball)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    return tarball


def _bootstrap(folder: Path, run: Callable[..., str]) -> None:
    run("debootstrap", "--variant=minbase", "bookworm", str(folder), within_s=BOOTSTRAP_S)
    for each in _LEFT_OUT:
        for path in (folder / each).iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    (folder / "etc/apt/sources.list").write_text(_SOURCES)
    (folder / "etc/dpkg/dpkg.cfg.d/docker").write_text(_SLIM)
