"""`renderctl serve`, one process: answers a second to `status`, beside a route that answers a constant.

Both routes ask who it is, both go through the same application; the one reads the job's document from the cache. In
turn, so that a machine whose speed drifts favours neither. With Redis where there is one (`python -m tests.services`),
else with the embedded cache.
"""

import json
import os
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

from benchmarks.farms import ACTOR, given_job, given_model
from benchmarks.timing import empty_folder
from renderctl.core.actors import Role, Scope
from renderctl.core.clocks import SystemClock
from renderctl.core.ids import new_id
from renderctl.core.people import Token
from renderctl.core.settings import CacheSettings, Settings
from renderctl.farm.jobs.status import job_document
from renderctl.farm.people.secrets import new_secret, token_digest
from renderctl.wiring import open_farm
from tests.services import Redis
from tests.services.fresh import fresh_redis

_CLIENTS, _ROUNDS, _ROUND_S = 8, 5, 4.0


def main() -> None:
    address = os.environ.get(Redis.variable)
    with empty_folder() as folder, fresh_redis(address) if address else nullcontext() as redis:
        cache = CacheSettings("redis", redis) if redis else CacheSettings()
        settings = replace(Settings(folder), cache=cache)
        farm = open_farm(settings)
        job = given_job(farm, given_model(farm), "1-240").id
        token = _token(farm)
        variables = {"RENDERCTL_CONFIG": "", "RENDERCTL_DATA_DIR": str(folder), "RENDERCTL_CACHE__KIND": cache.kind}
        with _server(variables | ({"RENDERCTL_CACHE__URL": redis} if redis else {})) as port, _kept_fresh(farm, job):
            _measure(port, {"Authorization": f"Bearer {token}"}, job, cache.kind)


def _measure(port: int, headers: dict[str, str], job: str, cache: str) -> None:
    paths = {"constant": "/constant", f"status, {cache} cache": f"/api/v1/jobs/{job}"}
    rates: dict[str, list[float]] = {name: [] for name in paths}
    times: dict[str, list[float]] = {name: [] for name in paths}
    for number in range(_ROUNDS + 1):
        for name, path in paths.items():
            taken = _asked(port, path, headers)
            if number:
                rates[name].append(len(taken) / _ROUND_S)
                times[name] += taken
    for name in paths:
        cuts = statistics.quantiles(times[name], n=100)
        rate = statistics.median(rates[name])
        print(f"  {name:24} {rate:7.0f} a second, p50 {cuts[49] * 1e3:.1f} ms, p99 {cuts[98] * 1e3:.1f} ms")
    constant, status = (statistics.median(each) for each in rates.values())
    print(f"  status / constant: {status / constant:.2f}  ({_CLIENTS} connections, {_ROUNDS} rounds in turn)")


def _asked(port: int, path: str, headers: dict[str, str]) -> list[float]:
    """Seconds of every answer that several clients get in a round; they are a process of their own."""
    words = [sys.executable, "-c", _ASK, json.dumps([port, path, headers, _CLIENTS, _ROUND_S])]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    found: list[float] = json.loads(done.stdout)
    return found


#: Plain sockets: a client that costs little, so that it is the server that is measured.
_ASK = """
import json, select, socket, sys, time
port, path, headers, clients, seconds = json.loads(sys.argv[1])
lines = "".join(f"{name}: {value}\\r\\n" for name, value in headers.items())
request = f"GET {path} HTTP/1.1\\r\\nHost: bench\\r\\n{lines}\\r\\n".encode()
poll, open_, taken = select.epoll(), {}, []
for _ in range(clients):
    each = socket.create_connection(("127.0.0.1", port))
    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    poll.register(each.fileno(), select.EPOLLIN)
    each.sendall(request)
    open_[each.fileno()] = [each, time.perf_counter(), b""]
ends = time.perf_counter() + seconds
while time.perf_counter() < ends:
    for number, _ in poll.poll(1.0):
        state = open_[number]
        state[2] += state[0].recv(1 << 16)
        head, _, body = state[2].partition(b"\\r\\n\\r\\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\\r\\n")[0]
        if not length or len(body) < int(length):
            continue
        assert head.startswith(b"HTTP/1.1 200"), head
        now = time.perf_counter()
        taken.append(now - state[1])
        state[1], state[2] = now, b""
        state[0].sendall(request)
print(json.dumps(taken))
"""

_SERVE = """
from fastapi import Response
from renderctl.server import runner
from renderctl.server.authentication import Commands
from renderctl.wiring import connect_locally

made = runner.create_app

def create_app(connection):
    app = made(connection)

    @app.get("/constant")
    def constant(verbs: Commands) -> Response:
        return Response(b'{"state":"queued"}', media_type="application/json")

    return app

runner.create_app = create_app
runner.serve(connect_locally(), "127.0.0.1", 0, lambda address: print(address, flush=True))
"""


@contextmanager
def _server(variables: dict[str, str]) -> Iterator[int]:
    """The port of a server with one more route, that answers a constant."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith("RENDERCTL_")}
    server = subprocess.Popen([sys.executable, "-c", _SERVE], env=ours | variables, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield int(server.stdout.readline().rpartition(":")[2])
    finally:
        server.terminate()
        server.wait(30)


@contextmanager
def _kept_fresh(farm: Any, job: str) -> Iterator[None]:
    """A copy in the cache that is never old, as it is while a job runs and somebody looks."""
    over = threading.Event()

    def keep() -> None:
        while not over.wait(0.5):
            job_document(farm, job)

    job_document(farm, job)
    thread = threading.Thread(target=keep)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _token(farm: Any) -> str:
    secret = new_secret("rctl_")
    farm.repository.users.add("bench", Role.OPERATOR, (), password=None, actor=ACTOR)
    token = Token(new_id(), "bench", "bench", Scope.READ, SystemClock().now(), None)
    farm.repository.tokens.add(token, token_digest(secret), lasts_s=None, actor=ACTOR)
    return secret
