"""A fresh place for one test on a running server: an empty database, virtual host or bucket, gone afterwards."""

import json
import secrets
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit, urlunsplit

import pymysql
import redis
from minio import Minio
from minio.deleteobjects import DeleteObject

from renderctl.core.settings import StoreSettings

TIMEOUT_S = 10


def address(url: str) -> str:
    """HOST:PORT of a URL: what may be told of it."""
    return urlsplit(url).netloc.rpartition("@")[2]


@contextmanager
def fresh_mysql(url: str) -> Iterator[str]:
    """The URL of an empty database."""
    name = _name().replace("-", "_")
    with _mysql(url) as cursor:
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    try:
        yield _with_path(url, name)
    finally:
        with _mysql(url) as cursor:
            cursor.execute("SELECT id FROM information_schema.processlist WHERE db = %s", (name,))
            for (connection,) in cursor.fetchall():  # an open transaction would make the DROP wait
                cursor.execute(f"KILL {connection}")
            cursor.execute(f"DROP DATABASE {name}")


@contextmanager
def fresh_rabbitmq(url: str, api_url: str) -> Iterator[str]:
    """The URL of an empty virtual host."""
    name, user = _name(), unquote(urlsplit(url).username or "guest")
    ask(api_url, "PUT", f"/api/vhosts/{name}")
    ask(api_url, "PUT", f"/api/permissions/{name}/{user}", dict.fromkeys(("configure", "write", "read"), ".*"))
    try:
        yield _with_path(url, name)
    finally:
        ask(api_url, "DELETE", f"/api/vhosts/{name}")


@contextmanager
def fresh_redis(url: str) -> Iterator[str]:
    """The URL of an empty database: of the last free one, and marked as taken in the first."""
    with redis.Redis.from_url(url, socket_timeout=TIMEOUT_S) as first:
        for number in range(int(first.config_get("databases")["databases"]) - 1, 0, -1):
            mark, ours = f"renderctl-test-database-{number}", _with_path(url, str(number))
            if not first.set(mark, "taken", nx=True, ex=3600):
                continue
            with redis.Redis.from_url(ours, socket_timeout=TIMEOUT_S) as database:
                try:
                    if database.dbsize():
                        continue
                    yield ours
                    database.flushdb()
                    return
                finally:
                    first.delete(mark)
    raise AssertionError(f"{address(url)} has no empty database left")


@contextmanager
def fresh_bucket(url: str) -> Iterator[StoreSettings]:
    """The settings of a bucket that does not exist yet."""
    parts = urlsplit(url)
    settings = StoreSettings(
        kind="minio",
        endpoint=address(url),
        access_key=unquote(parts.username or ""),
        secret_key=unquote(parts.password or ""),
        bucket=_name(),
        secure=parts.scheme == "https",
    )
    client = Minio(address(url), settings.access_key, settings.secret_key, secure=settings.secure)
    client.bucket_exists(bucket_name=settings.bucket)  # an error says now that the server is away
    yield settings
    if client.bucket_exists(bucket_name=settings.bucket):
        found = client.list_objects(bucket_name=settings.bucket, recursive=True)
        doomed = (DeleteObject(each.object_name) for each in found if each.object_name)
        assert not list(client.remove_objects(bucket_name=settings.bucket, delete_object_list=doomed))
        client.remove_bucket(bucket_name=settings.bucket)


def _name() -> str:
    return f"renderctl-test-{secrets.token_hex(6)}"


def _with_path(url: str, path: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{path}"))


@contextmanager
def _mysql(url: str) -> Iterator[pymysql.cursors.Cursor]:
    parts = urlsplit(url)
    connection = pymysql.connect(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 3306,
        user=unquote(parts.username or "root"),
        password=unquote(parts.password or ""),
        connect_timeout=TIMEOUT_S,
        read_timeout=60,
    )
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def ask(api_url: str, method: str, path: str, document: dict[str, str] | None = None) -> bytes:
    """The answer of RabbitMQ's management API."""
    parts = urlsplit(api_url)
    user = f"{unquote(parts.username or 'guest')}:{unquote(parts.password or 'guest')}"
    headers = {"Authorization": f"Basic {b64encode(user.encode()).decode()}", "Content-Type": "application/json"}
    request = urllib.request.Request(
        f"{parts.scheme}://{address(api_url)}{path}", json.dumps(document or {}).encode(), headers, method=method
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        return bytes(answer.read())
