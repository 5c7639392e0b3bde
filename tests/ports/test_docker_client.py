"""The connection to a container engine: where it is, and what its errors mean."""

import socket
from pathlib import Path

import pytest

from renderctl.core.errors import EngineUnavailable
from renderctl.executors.docker.client import DEFAULT_ADDRESS, Engine


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("unix:///no/such/docker.sock", "No such file"),
        ("tcp://127.0.0.1:1", "refused"),
        ("tcp://nowhere.invalid:2375", "not known|resolution"),
        ("ssh://ada:hush@127.0.0.1:1", "ssh"),
    ],
)
def test_an_engine_that_is_away_is_said_to_be_so_without_a_password(host: str, reason: str) -> None:
    with pytest.raises(EngineUnavailable, match=reason) as caught:
        Engine(host).version()
    assert host.partition(":")[0] in caught.value.message
    assert "hush" not in caught.value.message + str(caught.value.hint)


def test_an_engine_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "docker.sock"))
        silent.listen()
        with pytest.raises(EngineUnavailable, match="timed out"):
            Engine(f"unix://{tmp_path}/docker.sock", timeout_s=0.2).version()


def test_without_a_host_it_is_the_one_of_the_environment() -> None:
    assert Engine(None, {}).address == DEFAULT_ADDRESS
    assert Engine(None, {"DOCKER_HOST": "tcp://node7:2375"}).address == "tcp://node7:2375"
    assert Engine("unix:///mine.sock", {"DOCKER_HOST": "tcp://node7:2375"}).address == "unix:///mine.sock"
