"""A registry of images, for engines on this machine: they trust one at 127.0.0.1 without TLS."""

import json
import urllib.request

from tests.services.server import Server


class Registry(Server):
    name = "registry"
    variable = "RENDERCTL_TEST_REGISTRY"
    programs = ("docker-registry",)

    @property
    def url(self) -> str:
        return f"127.0.0.1:{self.port}"

    def prepare(self) -> None:
        config = {
            "version": "0.1",
            "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": str(self.folder / "images")}},
            "http": {"addr": self.url},
        }
        (self.folder / "config.yml").write_text(json.dumps(config))

    def launch(self) -> None:
        self.spawn("docker-registry", "serve", str(self.folder / "config.yml"))

    def answers(self) -> bool:
        with urllib.request.urlopen(f"http://{self.url}/v2/", timeout=2) as answer:
            return bool(answer.status == 200)
