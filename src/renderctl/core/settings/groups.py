"""The settings and their groups, each with its default and unit."""

from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path


@dataclass(frozen=True)
class DatabaseSettings:
    """The database: SQLite, or MySQL and MariaDB."""

    url: str | None = field(default=None, repr=False)  #: None: an SQLite file in data_dir
    password: str | None = field(default=None, repr=False)  #: of the URL's user, where the URL has none


@dataclass(frozen=True)
class StoreSettings:
    """The store of blobs and logs: a folder or an S3 bucket."""

    kind: str = "local"
    endpoint: str | None = None  #: of the S3: HOST or HOST:PORT
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    bucket: str = "renderctl"
    region: str | None = None
    secure: bool = True  #: TLS
    min_free_mb: int = 2048  #: space that uploads leave free, on the disk of a local store and of the server


@dataclass(frozen=True)
class QueueSettings:
    """The queue of tickets: a file or RabbitMQ."""

    kind: str = "sqlite"
    url: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)  #: of the URL's user, where the URL has none


@dataclass(frozen=True)
class CacheSettings:
    """The cache: a file or Redis."""

    kind: str = "sqlite"
    url: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)  #: of the URL's user, where the URL has none


@dataclass(frozen=True)
class ExecutorSettings:
    """Where sessions of Blender run, and what they may use."""

    kind: str = "process"
    host: str | None = field(
        default=None, repr=False
    )  #: of the container engine; None: DOCKER_HOST, else the local one
    memory_mb: int | None = (
        None  #: limit of a session; None: a container's share of the machine, unlimited for a process
    )
    cpus: float | None = None  #: cores of a session; None: likewise
    pids: int = 2048
    scratch_mb: int = 20480
    gpus: tuple[str, ...] = ()
    share_gpus: bool = True
    reads: tuple[str, ...] = ()  #: folders that sessions of kind process may read in addition to their own
    writes: tuple[str, ...] = ()  #: and that they may write


@dataclass(frozen=True)
class BlenderSettings:
    """The installed Blenders, and the time-outs of their sessions."""

    paths: tuple[str, ...] = ()
    start_timeout: float = 300.0  #: seconds
    stall_timeout: float = 120.0  #: seconds
    frame_timeout: float | None = None  #: seconds
    idle_timeout: float = 60.0  #: seconds
    threads: int = 0


@dataclass(frozen=True)
class WorkerSettings:
    """The worker of this machine."""

    slots: int = 1
    pools: tuple[str, ...] = ("default",)
    heartbeat: float = 5.0  #: seconds
    heartbeat_limit: float = 15.0  #: seconds
    quantum: float = 60.0  #: seconds
    allow_scripts: bool | None = None  #: None: only in isolated sessions
    unwalled: bool = False  #: whether to work without a sandbox that keeps scenes from this machine's files
    cache_mb: int = 20480
    tags: tuple[str, ...] = ()
    min_free_mb: int = 2048
    log_mb: int = 16


@dataclass(frozen=True)
class DecoderSettings:
    """Limits of the processes that decode images: each frame once, and thumbnails."""

    memory_mb: int = 1024  #: of one process
    timeout: float = 60.0  #: seconds for one image
    image_mb: int = 32768  #: pixels of one image


@dataclass(frozen=True)
class RetentionSettings:
    """How long the farm keeps data; None: for ever."""

    succeeded_days: float | None = None  #: ended jobs with their outputs
    failed_days: float | None = None
    canceled_days: float | None = None
    audit_days: float | None = None
    worker_days: float | None = 30.0  #: workers without a heartbeat since
    delivery_days: float | None = 30.0  #: deliveries of webhooks
    grace_hours: float = 24.0  #: blobs without a reference
    scrub_days: int = 30  #: days within which daily runs of `gc --scrub` verify every blob


@dataclass(frozen=True)
class ServerSettings:
    """The server to use, instead of the farm's services directly."""

    url: str | None = None
    token: str | None = field(default=None, repr=False)  #: None: the token that `login` stored


@dataclass(frozen=True)
class ServeSettings:
    """Settings of `renderctl serve`."""

    host: str = "127.0.0.1"
    port: int = 8650
    proxies: tuple[str, ...] = ()  #: addresses whose X-Forwarded-For and X-Forwarded-Proto are trusted
    metrics_token: str | None = field(default=None, repr=False)  #: grants access to /metrics only
    direct: bool = False  #: whether clients can reach the S3 store: then files bypass the server
    upload_mb: int = 1 << 20  #: of one file
    body_kb: int = 1024  #: the largest authenticated request, but for files and lists of files
    header_timeout: float = 20.0  #: seconds to receive a request's headers
    body_timeout: float = 20.0  #: seconds to wait for a request's body, and one more for each 500 bytes
    send_timeout: float = 60.0  #: seconds after which a client that reads nothing of a response is disconnected
    connections: int = 1000  #: in total
    connections_per_address: int = 200  #: or concurrent requests, of an address behind a proxy
    streams_per_user: int = 100  #: concurrent streams of events and logs of one user
    hosts: tuple[str, ...] = ()  #: allowed Host headers; empty: any
    inspect_mb: int = 8192  #: memory of the Blender that inspects a scene uploaded by a browser
    session_idle_hours: float = 12.0  #: after which an idle web session ends
    require_totp_for_admins: bool = False  #: whether an admin without a second factor is limited to an operator's role

    def is_unencrypted(self, host: str | None = None) -> bool:
        """Return whether other machines reach this host without TLS: no proxy in front of it provides TLS."""
        return not self.proxies and not is_loopback(self.host if host is None else host)


@dataclass(frozen=True)
class UploadSettings:
    """Uploads of scenes from this machine."""

    roots: tuple[str, ...] = ()  #: folders whose files are uploaded with any scene that uses them


@dataclass(frozen=True)
class AuditSettings:
    """The keys of the audit log's chain."""

    key: str | None = field(
        default=None, repr=False
    )  #: None: a key in a file of data_dir, or in the database of a farm with services
    former: tuple[str, ...] = field(default=(), repr=False)  #: previous keys, the latest first


@dataclass(frozen=True)
class WebhookSettings:
    """How webhooks are delivered, and where receivers may be."""

    send: bool = True  #: whether workers and servers of this machine deliver events
    timeout: float = 10.0  #: seconds that a receiver has to respond
    allow_private: bool = False  #: whether receivers may be in private networks or on this machine
    allow: tuple[str, ...] = ()  #: host names and networks that may always be receivers
    farm_url: str | None = None  #: URL of the farm's server for receivers, sent in payloads


@dataclass(frozen=True)
class QuotaSettings:
    """Limits of users and projects, for requests through a server; None: unlimited."""

    job_tasks: int | None = 200_000  #: tasks of one job
    user_jobs: int | None = 1000  #: jobs that have not ended
    user_tasks: int | None = 2_000_000  #: tasks of jobs that have not ended
    user_incoming_files: int | None = 1_000_000  #: uploads that are in no model or job yet
    user_incoming_mb: int | None = 1 << 20  #: of these uploads
    user_stored_mb: int | None = 10 << 20  #: models, jobs and outputs
    user_webhooks: int | None = 100
    user_pings: int | None = 2  #: concurrent runs of `webhooks test`
    project_jobs: int | None = 5000
    project_tasks: int | None = 10_000_000
    project_stored_mb: int | None = 50 << 20
    project_webhooks: int | None = 500


@dataclass(frozen=True)
class Settings:
    """All settings of this machine."""

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
    source: Path | None = None  #: the config file that was loaded

    @property
    def names_services(self) -> bool:
        """Whether any part of the farm is a service outside data_dir."""
        kinds = (self.store.kind, self.queue.kind, self.cache.kind)
        return self.database.url is not None or kinds != ("local", "sqlite", "sqlite")

    @property
    def database_url(self) -> str:
        """The URL of the database, with its password."""
        return self.database.url or f"sqlite:///{self.data_dir / 'renderctl.db'}"

    @property
    def farm_name(self) -> str:
        """An identifier of this farm: the location of its database, without credentials."""
        kind, _, place = self.database_url.partition("://")
        return f"{kind}://{place.rpartition('@')[2].partition('?')[0]}"


def is_loopback(host: str) -> bool:
    """Return whether the host is this machine only."""
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
