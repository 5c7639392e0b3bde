"""The connection to a Docker engine, and what its errors mean."""

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
#: Seconds without an answer after which a request is given up.
_PATIENCE_S = 60.0
#: What an engine that is away looks like through the SDK and the two libraries that it stands on.
_AWAY = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, DockerException)
_HINT = "Is the engine running? executor.host of the config, or DOCKER_HOST, says where it is."
_FORBIDDEN_HINT = (
    "Who may use the engine's socket is root on that machine: a rootless engine is the way for others (executor.host)."
)


class Engine:
    """An engine that is connected to when it is first asked for something. Any thread may use it."""

    def __init__(
        self, host: str | None = None, environment: Mapping[str, str] = os.environ, *, patience_s: float = _PATIENCE_S
    ) -> None:
        """`host` is such as `unix:///run/docker.sock`, `tcp://…` (TLS as DOCKER_TLS_VERIFY and DOCKER_CERT_PATH say)
        or `ssh://…`; None: what DOCKER_HOST says, else the local one.
        """
        self._options = docker.utils.kwargs_from_env(environment=dict(environment))
        if host is not None:
            self._options["base_url"] = host
        self.address: str = self._options.setdefault("base_url", DEFAULT_ADDRESS)
        self._patience_s = patience_s
        self._options |= {"version": "auto", "timeout": patience_s, "use_ssh_client": self.address.startswith("ssh:")}
        self._client: docker.DockerClient | None = None
        self._opening = threading.Lock()

    @property
    def host(self) -> str:
        """The address as it may be shown: without a password."""
        user, at, place = self.address.rpartition("@")
        password = urlsplit(self.address).password
        return f"{user.removesuffix(f':{password}')}{at}{place}" if password else self.address

    @contextmanager
    def speaking(self) -> Iterator[docker.DockerClient]:
        """The SDK's client. What it raises becomes EngineUnavailable, ImageMissing or EngineRefused.

        `NotFound` of anything but an image comes through: only the caller knows what it means.
        """
        try:
            yield self._connected()
        except ImageNotFound as error:
            raise ImageMissing(
                _sentence(error_text(error)), hint="`renderctl images list` says which there are."
            ) from error
        except NotFound:
            raise
        except APIError as error:
            raise EngineRefused(f"The container engine at {self.host} refused: {error_text(error)}.") from error
        except _AWAY as error:
            raise self._unavailable(error) from error

    def version(self) -> str:
        """What the engine is, such as `Docker Engine 27.3.1`. Raises EngineUnavailable."""
        with self.speaking() as client:
            answer = client.version()
        names = [each.get("Name", "") for each in answer.get("Components") or ()]
        kind = "Podman" if any("podman" in name.lower() for name in names) else "Docker"
        return f"{kind} {answer['Version']}, API {answer['ApiVersion']}"

    def close(self) -> None:
        with self._opening:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _connected(self) -> docker.DockerClient:
        self._knock()
        with self._opening:
            if self._client is None:
                self._client = docker.DockerClient(**self._options)
            return self._client

    def _knock(self) -> None:
        """Raises OSError when nobody listens at the socket: the SDK would leave one of ours open then."""
        path = self.address.removeprefix("unix://")
        if path != self.address:
            with socket.socket(socket.AF_UNIX) as knocking:
                knocking.settimeout(self._patience_s)
                knocking.connect(path)

    def _unavailable(self, error: Exception) -> EngineUnavailable:
        causes = list(_causes(error))
        forbidden = any(isinstance(each, PermissionError) for each in causes)
        why = next((each.strerror for each in causes if isinstance(each, OSError) and each.strerror), error_text(error))
        why = why.replace(self.address, self.host)
        return EngineUnavailable(
            f"The container engine at {self.host} is out of reach: {why}.",
            hint=_FORBIDDEN_HINT if forbidden else _HINT,
        )


def engine_time(client: docker.DockerClient) -> float:
    """Seconds since 1970, by the engine's clock."""
    return datetime.fromisoformat(client.info()["SystemTime"]).timestamp()


def error_text(error: Exception) -> str:
    """What the engine itself said, in one line without a full stop."""
    text = error.explanation if isinstance(error, APIError) and error.explanation else str(error)
    return " ".join(str(text).split()).rstrip(".")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that are behind it: what it was raised from, and what it was made of."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop(0)
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [each.__cause__, each.__context__]
        waiting += [part for part in each.args if isinstance(part, BaseException)]
