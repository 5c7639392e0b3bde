"""A RabbitMQ server with TLS for tests, and access to its queues by plain pika."""

import datetime
import ipaddress
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pika
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from renderctl.core.clocks import SystemClock
from tests.services import RabbitMq
from tests.services.server import free_port

CLOCK = SystemClock()


class TlsRabbitMq(RabbitMq):
    """A broker with TLS and a self-signed certificate."""

    def __init__(self) -> None:
        super().__init__()
        self.tls_port = free_port()
        self.certificate = self.folder / "certificate.pem"

    def prepare(self) -> None:
        super().prepare()
        key = self.folder / "key.pem"
        _make_certificate(self.certificate, key)
        with (self.folder / "rabbitmq.conf").open("a") as conf:
            conf.write(
                f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}\n"
                f"ssl_options.cacertfile = {self.certificate}\n"
                f"ssl_options.certfile = {self.certificate}\n"
                f"ssl_options.keyfile = {key}\n"
                "ssl_options.verify = verify_none\n"
            )


@contextmanager
def channel_to(url: str) -> Iterator[Any]:
    """Open a plain pika channel."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        yield connection.channel()
    finally:
        connection.close()


def consumers(url: str, queue: str) -> int:
    """Return the number of consumers of a queue."""
    with channel_to(url) as channel:
        return int(channel.queue_declare(queue, passive=True).method.consumer_count)


def until(fact: Callable[[], bool], within_s: float = 30.0) -> None:
    give_up = CLOCK.monotonic() + within_s
    while not fact():
        assert CLOCK.monotonic() < give_up, "it did not come true in time"
        CLOCK.wait(None, 0.02)


def _make_certificate(certificate: Path, key_file: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    hosts = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
