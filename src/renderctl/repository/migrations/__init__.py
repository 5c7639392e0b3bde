"""Alembic migrations: an empty database is set up, an old one is upgraded by a command and refused otherwise."""

from pathlib import Path

from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from renderctl.errors import DatabaseOutdated
from renderctl.repository.database import unavailable

#: The newest revision in `versions/`; a test holds the two together. Known here so that no start pays for Alembic.
HEAD = "0002"


def require_current(engine: Engine) -> None:
    """Set up an empty database. Raises DatabaseOutdated for one that another version of renderctl has made."""
    revision = current_revision(engine)
    if revision is None:
        upgrade(engine)
    elif revision != HEAD:
        newer = revision > HEAD
        raise DatabaseOutdated(
            f"The database is at revision {revision}, this renderctl needs {HEAD}.",
            hint="Install the newer renderctl." if newer else "`renderctl database upgrade` brings it up to date.",
        )


def current_revision(engine: Engine) -> str | None:
    """The revision of the database; None: it is empty. Raises DatabaseUnavailable."""
    try:
        with engine.connect().execution_options(reads=True) as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
            return revision
    except DBAPIError as error:
        raise unavailable(engine, error) from error


def upgrade(engine: Engine) -> str:
    """Bring the database to the newest revision, in one transaction; the revision. Raises DatabaseUnavailable."""
    import logging

    from alembic import command
    from alembic.config import Config

    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        raise unavailable(engine, error) from error
    return HEAD
