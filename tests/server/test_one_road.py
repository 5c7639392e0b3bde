"""A server reaches the farm by one road: authentication, then the verbs, as whoever has shown who they are."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

import renderctl.server
from renderctl.core.actors import Role
from renderctl.farm import Farm
from renderctl.server.app import create_app
from renderctl.server.authentication import CACHE_S
from renderctl.wiring import LocalCommands
from tests.databases import writes
from tests.farms import ACTOR, given_job, given_worker
from tests.server.conftest import Served

ROOT = Path(renderctl.server.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
#: What leads past the verbs.
SIDE_ROADS = {"farm", "repository"}


def farm_imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((name.name, "") for name in node.names if name.name.startswith("renderctl.farm"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("renderctl.farm"):
            yield from ((str(node.module), name.name) for name in node.names)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_server_takes_types_of_the_farm_and_calls_none_of_its_functions(module: Path) -> None:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    for name, member in farm_imports(tree):
        assert isinstance(getattr(importlib.import_module(name), member, None), type), f"{name}:{member} is no type"
    reached = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not reached & SIDE_ROADS


def test_a_hundred_reads_begin_no_transaction_that_writes(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("renderctl.server.authentication.CACHE_S", -CACHE_S)  # every request is checked
    job = given_job(farm, "1-3")
    given_worker(farm)
    client = TestClient(create_app(LocalCommands(farm.settings, ACTOR, farm)), base_url="http://farm.test")
    ada = Served(farm, client).person("ada", Role.OPERATOR)
    reads = [f"/api/v1/jobs/{job.id}", "/api/v1/jobs", "/api/v1/workers", "/api/v1/whoami", f"/jobs/{job.id}"]
    with writes(farm) as begun:  # by requests alone: the threads of the server were not started
        for _ in range(20):
            for path in reads:
                assert client.get(path, headers=ada).status_code == 200
    assert begun == []
    client.app.state.parts.authentication.stop()  # type: ignore[attr-defined]
    (token,) = farm.repository.tokens.all(user="ada")
    assert token.used_at is not None
