"""No statement of what is done again and again goes through a table that grows, or sorts it.

Statements are not listed here: they are those that are executed, so that none is forgotten. One that has to go through
more rows is named with the reason.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from renderctl.core.clocks import SystemClock
from renderctl.core.settings import DatabaseSettings, Settings
from renderctl.farm import Farm
from renderctl.repository import open_repository
from renderctl.repository.database.engine import open_engine
from tests.big_tables import fill
from tests.farms import close, make_farm, quick_settings
from tests.growth.repeated import actions
from tests.growth.statements import FEW, Statement, StatementLog
from tests.services import MariaDb
from tests.services.fixtures import url_of
from tests.services.fresh import fresh_mysql

#: What may go through many rows, by a part of its text, and why.
ALLOWED = {"FROM output ORDER BY output.id DESC": "the last one, by its key"}
#: Rows that one execution reads at most: three for each task of a batch that is canceled.
_MOST_READ = 20_000

pytestmark = pytest.mark.slow


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    """One on MariaDB that has been at work for years."""
    with fresh_mysql(url_of(MariaDb)) as url:
        open_repository(url, now=SystemClock().now, heartbeat_limit_s=1.0).close()
        patient = open_engine(url, patient=True)
        fill(patient)
        patient.dispose()
        farm = make_farm(tmp_path, settings=replace(_patient(quick_settings(tmp_path)), database=DatabaseSettings(url)))
        yield farm
        close(farm)


def executed(farm: Farm) -> list[Statement]:
    """All that is executed by what is done again and again, as far as it is about tables that grow."""
    log = StatementLog()
    for name, action in actions(farm):
        log.what = name
        with log.of(farm.repository.database.engine):
            action()
    return [statement for statement in log.statements.values() if statement.is_about_growing_tables]


@pytest.mark.services
def test_every_statement_goes_by_an_index_and_reads_no_more_the_more_there_is(farm: Farm) -> None:
    """One test, since the tables take their time."""
    require_that_scans_and_sorts_are_seen(farm)
    statements = executed(farm)
    assert len(statements) > 50
    with farm.repository.database.engine.connect() as connection:
        problems = [
            f"{statement.what}: {statement.text}\n{steps or statement.rows_read}"
            for statement in statements
            if not _allowed(statement)
            and ((steps := statement.slow_steps(connection)) or statement.rows_read > _MOST_READ)
        ]
    assert not problems, "\n\n".join(problems)


def require_that_scans_and_sorts_are_seen(farm: Farm) -> None:
    scan = "SELECT count(*) FROM task WHERE frame = 7"
    sort = "SELECT id FROM attempt WHERE state = 'succeeded' ORDER BY claimed_at LIMIT 5"
    log = StatementLog()
    with log.of(farm.repository.database.engine), farm.repository.database.engine.connect() as connection:
        for text in (scan, sort):
            connection.exec_driver_sql(text)
    with farm.repository.database.engine.connect() as connection:
        for text in (scan, sort):
            assert log.statements[text].slow_steps(connection)
            assert log.statements[text].rows_read > FEW


def test_no_statement_scans_a_table_of_an_embedded_farm(tmp_path: Path) -> None:
    farm = make_farm(tmp_path, settings=_patient(quick_settings(tmp_path)))
    fill(farm.repository.database.engine, divisor=100)
    statements = executed(farm)
    with farm.repository.database.engine.connect() as connection:
        scans = {each.text: each.scans(connection) for each in statements if not _allowed(each)}
        assert Statement("SELECT count(*) FROM task WHERE frame = 7", (), "").scans(connection)
    close(farm)
    assert len(statements) > 50
    assert not any(scans.values()), [text for text, found in scans.items() if found]


def _patient(settings: Settings) -> Settings:
    """Nobody is given up while the tables are filled and looked at."""
    return replace(settings, worker=replace(settings.worker, heartbeat=5.0, heartbeat_limit=3600.0))


def _allowed(statement: Statement) -> bool:
    return any(part in statement.text for part in ALLOWED)
