"""The connection to a Docker engine, and the translation of its errors."""

import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from urllib.parse import urlsplit

import docker
import requests
import urllib3
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from renderctl.core.errors import EngineRefused, EngineUnavailable, ImageMissing

__all__ = ["Engine", "NotFound", "engine_time", "error_text"]

DEFAULT_ADDRESS = "unix:///var/run/docker.sock"
#: Seconds without a response after which a request fails.
_TIMEOUT_S = 60.0
#: Exceptions of the SDK and its HTTP libraries for an engine that is out of reach.
_CONNECTION_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, DockerException)
_HINT = "Is the engine running? Its address is executor.host of the config, or DOCKER_HOST."
_FORBIDDEN_HINT = (
    "Access to the engine's socket is root access to its machine: use a rootless engine instead (executor.host)."
)


class Engine:
    """An engine, connected to on first use. Safe to use from any thread."""

    def __init__(
        self, host: str | None = None, environment: Mapping[str, str] = os.environ, *, timeout_s: float = _TIMEOUT_S
    ) -> None:
        """`host` is `unix:///run/docker.sock`, `tcp://…` (TLS by DOCKER_TLS_VERIFY and DOCKER_CERT_PATH) or `ssh://…`.

        None: DOCKER_HOST, else the local engine. `timeout_s`: seconds to wait for a response.
        """
        self._options = docker.utils.kwargs_from_env(environment=dict(environment))
        if host is not None:
            self._options["base_url"] = host
        self.address: str = self._options.setdefault("base_url", DEFAULT_ADDRESS)
        self._timeout_s = timeout_s
        self._options |= {"version": "auto", "timeout": timeout_s, "use_ssh_client": self.address.startswith("ssh:")}
        self._client: docker.DockerClient | None = None
        self._lock = threading.Lock()

    @property
    def host(self) -> str:
        """The address without a password, for messages."""
        user, at, location = self.address.rpartition("@")
        password = urlsplit(self.address).password
        return f"{user.removesuffix(f':{password}')}{at}{location}" if password else self.address

    @contextmanager
    def client(self) -> Iterator[docker.DockerClient]:
        """Lend the SDK's client; its errors become EngineUnavailable, ImageMissing or EngineRefused.

        `NotFound` for anything but an image is raised unchanged: only the caller knows what it means.
        """
        try:
            yield self._connect()
        except ImageNotFound as error:
            raise ImageMissing(
                _as_sentence(error_text(error)), hint="`renderctl images list` shows the images."
            ) from error
        except NotFound:
            raise
        except APIError as error:
            raise EngineRefused(f"The container engine at {self.host} refused: {error_text(error)}.") from error
        except _CONNECTION_ERRORS as error:
            raise self._unavailable(error) from error

    def version(self) -> str:
        """Return the engine's kind and version, such as `Docker 27.3.1, API 1.47`. Raises EngineUnavailable."""
        with self.client() as client:
            version = client.version()
        names = [component.get("Name", "") for component in version.get("Components") or ()]
        kind = "Podman" if any("podman" in name.lower() for name in names) else "Docker"
        return f"{kind} {version['Version']}, API {version['ApiVersion']}"

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _connect(self) -> docker.DockerClient:
        self._probe_socket()
        with self._lock:
            if self._client is None:
                self._client = docker.DockerClient(**self._options)
            return self._client

    def _probe_socket(self) -> None:
        """Raise OSError if nobody listens at the socket: the SDK would leak a socket then."""
        path = self.address.removeprefix("unix://")
        if path != self.address:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(self._timeout_s)
                probe.connect(path)

    def _unavailable(self, error: Exception) -> EngineUnavailable:
        causes = list(_causes(error))
        forbidden = any(isinstance(cause, PermissionError) for cause in causes)
        reason = next(
            (cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror), error_text(error)
        )
        reason = reason.replace(self.address, self.host)
        return EngineUnavailable(
            f"The container engine at {self.host} is out of reach: {reason}.",
            hint=_FORBIDDEN_HINT if forbidden else _HINT,
        )


def engine_time(client: docker.DockerClient) -> float:
    """Return the Unix time in seconds by the engine's clock."""
    return datetime.fromisoformat(client.info()["SystemTime"]).timestamp()


def error_text(error: Exception) -> str:
    """Return the engine's own message, on one line without a full stop."""
    text = error.explanation if isinstance(error, APIError) and error.explanation else str(error)
    return " ".join(str(text).split()).rstrip(".")


def _as_sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and all exceptions that it was raised from or contains."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        cause = pending.pop(0)
        if cause is None or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        pending += [cause.__cause__, cause.__context__]
        pending += [part for part in cause.args if isinstance(part, BaseException)]
