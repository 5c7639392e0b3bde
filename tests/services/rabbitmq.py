"""RabbitMQ with its management API, on a name, a cookie and an `epmd` of its own."""

import secrets
import subprocess
import urllib.request
from contextlib import suppress

import pika
import psutil

from tests.services.server import Server, free_port


class RabbitMq(Server):
    name = "rabbitmq"
    variable = "RENDERCTL_TEST_RABBITMQ_URL"
    #: Where its HTTP API is; 15672 beside the broker if it is not set.
    api_variable = "RENDERCTL_TEST_RABBITMQ_API_URL"
    programs = ("rabbitmq-server", "epmd")
    in_memory = True

    def __init__(self) -> None:
        super().__init__()
        self.node = f"renderctl-{secrets.token_hex(4)}@localhost"
        self.api_port, self._distribution_port, self._epmd_port = free_port(), free_port(), free_port()

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    @property
    def api_url(self) -> str:
        return f"http://guest:guest@127.0.0.1:{self.api_port}"

    @property
    def variables(self) -> dict[str, str]:
        return super().variables | {self.api_variable: self.api_url}

    @property
    def environment(self) -> dict[str, str]:
        """What `rabbitmqctl` needs to talk to it. The cookie is in HOME."""
        return {
            "HOME": str(self.folder),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "logs"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none"),
        }

    def control(self, *words: str) -> str:
        """What `rabbitmqctl WORDS` prints. Raises ServerFailed."""
        return self.run("rabbitmqctl", "-n", self.node, "-q", *words, environment=self.environment)

    def prepare(self) -> None:
        (self.folder / "plugins").write_text("[rabbitmq_management].\n")
        (self.folder / "rabbitmq.conf").write_text(
            f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {self.api_port}\n"
        )

    def launch(self) -> None:
        self.spawn("epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1")
        self.spawn("rabbitmq-server", environment=self.environment)

    def answers(self) -> bool:
        pika.BlockingConnection(pika.URLParameters(f"{self.url}%2F?socket_timeout=2&connection_attempts=1")).close()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.api_port}/", timeout=2) as answer:  # it comes up later
            return bool(answer.status == 200)

    def ask_to_end(self, child: "subprocess.Popen[bytes]") -> None:
        """To the machine itself: the script around it would start a second one to tell it."""
        with suppress(psutil.NoSuchProcess):
            for each in psutil.Process(child.pid).children(recursive=True):
                if each.name() == "beam.smp":
                    each.terminate()
                    return
        child.terminate()
