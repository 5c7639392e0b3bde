"""The settings and their groups, each with its default and unit."""

from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path


@dataclass(frozen=True)
class DatabaseSettings:
    url: str | None = field(default=None, repr=False)  #: None: an SQLite file in data_dir
    password: str | None = field(default=None, repr=False)  #: of the URL's user, where the URL has none


@dataclass(frozen=True)
class StoreSettings:
    kind: str = "local"
    endpoint: str | None = None  #: of S3: HOST or HOST:PORT
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    bucket: str = "renderctl"
    region: str | None = None
    secure: bool = True  #: TLS
    min_free_mb: int = 2048  #: that uploads leave free on the disk of a local store, and of the server


@dataclass(frozen=True)
class QueueSettings:
    kind: str = "sqlite"
    url: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)  #: of the URL's user, where the URL has none


@dataclass(frozen=True)
class CacheSettings:
    kind: str = "sqlite"
    url: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)  #: of the URL's user, where the URL has none


@dataclass(frozen=True)
class ExecutorSettings:
    kind: str = "process"
    host: str | None = field(default=None, repr=False)  #: of the engine; None: DOCKER_HOST, else the local one
    memory_mb: int | None = None  #: of a session; None: of a container its share, of a process all there is
    cpus: float | None = None  #: likewise, of the cores
    pids: int = 2048
    scratch_mb: int = 20480
    gpus: tuple[str, ...] = ()
    share_gpus: bool = True
    reads: tuple[str, ...] = ()  #: folders that sessions of kind process may read beside their own
    writes: tuple[str, ...] = ()  #: and write


@dataclass(frozen=True)
class BlenderSettings:
    paths: tuple[str, ...] = ()
    start_timeout: float = 300.0  #: seconds
    stall_timeout: float = 120.0  #: seconds
    frame_timeout: float | None = None  #: seconds
    idle_timeout: float = 60.0  #: seconds
    threads: int = 0


@dataclass(frozen=True)
class WorkerSettings:
    slots: int = 1
    pools: tuple[str, ...] = ("default",)
    heartbeat: float = 5.0  #: seconds
    heartbeat_limit: float = 15.0  #: seconds
    quantum: float = 60.0  #: seconds
    allow_scripts: bool | None = None  #: None: in cages
    unwalled: bool = False  #: whether it works where nothing keeps a scene from this machine's files
    cache_mb: int = 20480
    tags: tuple[str, ...] = ()
    min_free_mb: int = 2048
    log_mb: int = 16


@dataclass(frozen=True)
class DecoderSettings:
    """What the processes may use that decode images: of each frame once, and for what pages show."""

    memory_mb: int = 1024  #: of one process
    timeout: float = 60.0  #: seconds for one image
    image_mb: int = 32768  #: of pixels in one image


@dataclass(frozen=True)
class RetentionSettings:
    """For how long the farm keeps what; None: for ever."""

    succeeded_days: float | None = None  #: ended jobs, with all that they have rendered
    failed_days: float | None = None
    canceled_days: float | None = None
    audit_days: float | None = None
    worker_days: float | None = 30.0  #: workers that nobody has seen since
    delivery_days: float | None = 30.0  #: what webhooks were told, or could not be told
    grace_hours: float = 24.0  #: a blob that nothing points to
    scrub_days: int = 30  #: days within which `gc --scrub`, run daily, reads every blob


@dataclass(frozen=True)
class ServerSettings:
    """The server that everything goes through, in place of the parts of the farm."""

    url: str | None = None
    token: str | None = field(default=None, repr=False)  #: None: what `login` has kept


@dataclass(frozen=True)
class ServeSettings:
    """How `renderctl serve` serves."""

    host: str = "127.0.0.1"
    port: int = 8650
    proxies: tuple[str, ...] = ()  #: addresses whose X-Forwarded-For and X-Forwarded-Proto are believed
    metrics_token: str | None = field(default=None, repr=False)  #: with which /metrics may be read, and nothing else
    direct: bool = False  #: whether clients can reach the S3 themselves: files need not pass through the server then
    upload_mb: int = 1 << 20  #: of one file
    body_kb: int = 1024  #: of a request by somebody known that sends neither a file nor a list of files
    header_timeout: float = 20.0  #: seconds until the headers of a request are here
    body_timeout: float = 20.0  #: seconds that a request's body may be waited for, and one more for each 500 bytes
    send_timeout: float = 60.0  #: seconds after which whoever reads nothing of an answer is left
    connections: int = 1000  #: in all
    connections_per_address: int = 200  #: or requests at once, of an address behind a proxy
    streams_per_user: int = 100  #: of events and logs, that one user follows at once
    hosts: tuple[str, ...] = ()  #: names and addresses by which it is asked; none: any

    inspect_mb: int = 8192  #: of memory, for the Blender that looks at a scene which came from a browser
    session_idle_hours: float = 12.0  #: after which a log-in from a browser ends that nobody has used
    require_totp_for_admins: bool = (
        False  #: whether an admin without a second factor does what an operator may, at most
    )

    def is_in_the_clear(self, host: str | None = None) -> bool:
        """Whether other machines can ask at this host without TLS: no proxy stands in front of it that has it."""
        return not self.proxies and not is_loopback(self.host if host is None else host)


@dataclass(frozen=True)
class UploadSettings:
    roots: tuple[str, ...] = ()  #: folders whose files go along with any scene that names them


@dataclass(frozen=True)
class AuditSettings:
    key: str | None = field(default=None, repr=False)  #: None: a file in data_dir, or the database on services
    former: tuple[str, ...] = field(default=(), repr=False)  #: keys that it has replaced, the latest first


@dataclass(frozen=True)
class WebhookSettings:
    """How receivers are told what happens, and where they may be."""

    send: bool = True  #: whether workers and servers of this machine send
    timeout: float = 10.0  #: seconds that a receiver has
    allow_private: bool = False  #: whether receivers may be in private networks and on this machine
    allow: tuple[str, ...] = ()  #: names of hosts, and networks, that may be receivers wherever they are
    farm_url: str | None = None  #: the server of the farm, as receivers reach it: it is told to them


@dataclass(frozen=True)
class QuotaSettings:
    """What users and projects may have at a time, for whoever comes through a server; None: no limit."""

    job_tasks: int | None = 200_000  #: of one job
    user_jobs: int | None = 1000  #: that have not ended
    user_tasks: int | None = 2_000_000  #: of jobs that have not ended
    user_incoming_files: int | None = 1_000_000  #: sent or announced, and in no model or job yet
    user_incoming_mb: int | None = 1 << 20  #: of these
    user_stored_mb: int | None = 10 << 20  #: files of models and jobs, and what jobs have rendered
    user_webhooks: int | None = 100
    user_pings: int | None = 2  #: `webhooks test` under way
    project_jobs: int | None = 5000
    project_tasks: int | None = 10_000_000
    project_stored_mb: int | None = 50 << 20
    project_webhooks: int | None = 500


@dataclass(frozen=True)
class Settings:
    data_dir: Path
    database: DatabaseSettings = DatabaseSettings()
    store: StoreSettings = StoreSettings()
    queue: QueueSettings = QueueSettings()
    cache: CacheSettings = CacheSettings()
    executor: ExecutorSettings = ExecutorSettings()
    blender: BlenderSettings = BlenderSettings()
    worker: WorkerSettings = WorkerSettings()
    decoder: DecoderSettings = DecoderSettings()
    retention: RetentionSettings = RetentionSettings()
    server: ServerSettings = ServerSettings()
    serve: ServeSettings = ServeSettings()
    upload: UploadSettings = UploadSettings()
    audit: AuditSettings = AuditSettings()
    webhooks: WebhookSettings = WebhookSettings()
    quota: QuotaSettings = QuotaSettings()
    source: Path | None = None  #: the config file that was read

    @property
    def names_services(self) -> bool:
        """Whether anything of the farm is elsewhere than in data_dir."""
        kinds = (self.store.kind, self.queue.kind, self.cache.kind)
        return self.database.url is not None or kinds != ("local", "sqlite", "sqlite")

    @property
    def database_url(self) -> str:
        return self.database.url or f"sqlite:///{self.data_dir / 'renderctl.db'}"

    @property
    def farm_name(self) -> str:
        """What tells this farm from others, without a password: where its database is."""
        kind, _, place = self.database_url.partition("://")
        return f"{kind}://{place.rpartition('@')[2].partition('?')[0]}"


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine is there."""
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
