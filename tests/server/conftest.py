"""A server in this process, in front of an embedded farm, and people who ask it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from renderctl.core.actors import Role, Scope
from renderctl.core.clocks import SystemClock
from renderctl.core.ids import new_id
from renderctl.core.people import Token
from renderctl.farm import Farm
from renderctl.farm.people.secrets import token_digest
from renderctl.server.app import create_app
from renderctl.wiring import LocalCommands
from tests.farms import ACTOR, close, make_farm
from tests.server.crowd import given_people


@dataclass
class Served:
    """A server, and what it serves."""

    farm: Farm
    client: TestClient
    tokens: dict[str, str] = field(default_factory=dict)

    def person(self, name: str, role: Role, *projects: str, scope: Scope = Scope.ALL) -> dict[str, str]:
        """Somebody with a token: the headers that he sends."""
        for project in projects:
            if project not in {each.name for each in self.farm.repository.projects.all()}:
                self.farm.repository.projects.add(project, (), actor=ACTOR)
        self.farm.repository.users.add(name, role, projects, password=None, actor=ACTOR)
        return self.token(name, scope)

    def token(self, name: str, scope: Scope = Scope.ALL, lasts_s: float | None = None) -> dict[str, str]:
        """The headers of a new token of somebody's."""
        token = Token(new_id(), name, "test", scope, SystemClock().now(), None)
        secret = f"rctl_{token.id}{name}"
        self.farm.repository.tokens.add(token, token_digest(secret), lasts_s=lasts_s, actor=ACTOR)
        self.tokens[secret] = token.id
        return {"Authorization": f"Bearer {secret}"}

    def revoke(self, headers: dict[str, str]) -> None:
        self.farm.repository.tokens.revoke(self.tokens[headers["Authorization"].removeprefix("Bearer ")], actor=ACTOR)


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    farm = make_farm(tmp_path / "data")
    yield farm
    close(farm)


@pytest.fixture
def served(farm: Farm) -> Iterator[Served]:
    app = create_app(LocalCommands(farm.settings, ACTOR, farm))
    with TestClient(app, base_url="http://farm.test", raise_server_exceptions=False) as client:
        yield Served(farm, client)


@pytest.fixture
def client(served: Served) -> TestClient:
    """A browser's, with cookies, that does not follow."""
    given_people(served.farm)
    served.client.follow_redirects = False
    return served.client
