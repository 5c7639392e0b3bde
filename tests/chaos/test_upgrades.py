"""Workers of the release before this one, while the database is upgraded under them.

They are run from their commit, with the packages that are installed here.
"""

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from renderctl.core.errors import Conflict, DatabaseOutdated
from renderctl.core.states import AttemptState
from tests.chaos.site import FAKE
from tests.chaos.verdict import connected, require_quiet, require_whole, wait_for_end
from tests.fake_blender import SIZE
from tests.nodes import Node, Site, until

pytestmark = [pytest.mark.chaos, pytest.mark.blender]
#: Seconds of silence: whoever is at work must not be taken for gone on a busy machine.
_LIMIT_S = 6.0
_ROOT = Path(__file__).parents[2]
_VERSIONS = "src/renderctl/repository/migrations/versions"
_SUBMIT = (
    "from renderctl import wiring\nfrom tests.farms import given_job\n"
    "print(given_job(wiring.open_farm(wiring.read_settings()), '1-60', max_attempts=60).id)"
)
_COUNT = (
    "from renderctl import wiring\nfrom sqlalchemy import text\n"
    "farm = wiring.open_farm(wiring.read_settings())\n"
    "print(farm.repository.read(lambda c: c.scalar(text('SELECT count(*) FROM output'))))"
)


def git(*arguments: str) -> str:
    command = ["git", "-C", str(_ROOT), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def old_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree of the last release, else of the last commit, whose tables are other ones than ours."""
    tag = git("describe", "--tags", "--abbrev=0")
    newest = git("log", "-1", "--format=%H", "--diff-filter=A", "--", _VERSIONS)
    commit = tag if tag and git("diff", "--name-only", tag, "--", _VERSIONS) else f"{newest}^"
    if not newest or not git("rev-parse", "--verify", commit):
        pytest.skip("This is no clone with a history: there is no older release to run.")
    tree = tmp_path_factory.mktemp("old")
    archive = subprocess.run(
        ["git", "-C", str(_ROOT), "archive", commit, "src", "tests", "templates"], check=True, capture_output=True
    )
    subprocess.run(["tar", "-x", "-C", str(tree)], input=archive.stdout, check=True)
    _make_environment(tree)
    return tree


def _make_environment(tree: Path) -> None:
    """Make an environment of our packages with the release in place of renderctl, for `python -I`, too."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tree / "venv")], check=True)
    packages = sysconfig.get_path("purelib", vars={"base": str(tree / "venv")})
    paths = (tree / "src", tree, sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
    (Path(packages) / "release.pth").write_text("\n".join(dict.fromkeys(map(str, paths))))


@pytest.fixture(params=["embedded", pytest.param("services", marks=pytest.mark.services)])
def old_site(request: pytest.FixtureRequest, tmp_path: Path, old_release: Path) -> Iterator["OldSite"]:
    """A farm whose processes are of the old release, unless told otherwise."""
    services: dict[str, str] = {}
    if request.param == "services":
        url: str = request.getfixturevalue("mysql_url")
        services = {"RENDERCTL_DATABASE__URL": url}
    site = OldSite(tmp_path / "data", tmp_path / "logs", services=services)
    site.python = str(old_release / "venv" / "bin" / "python")
    site.data.mkdir()
    yield site
    site.end_all()


class OldSite(Site):
    """Where nodes named `old-…` run the old release."""

    python: str

    def variables(self, name: str) -> dict[str, str]:
        ours = {"PYTHONPATH": os.pathsep.join((str(_ROOT / "src"), str(_ROOT)))}
        patient = {"RENDERCTL_WORKER__HEARTBEAT_LIMIT": str(_LIMIT_S)}
        old = {"PYTHONSAFEPATH": "1"}  # nothing of the working directory, which is ours
        return super().variables(name) | patient | (old if name.startswith("old-") else ours)

    def start_fake(self, name: str, *options: str) -> Node:
        python = self.python if name.startswith("old-") else FAKE[0]
        return self.start(name, "--name", name, "--frame-s", "0.2", *options, program=(python, *FAKE[1:]))

    def run_old(self, code: str) -> str:
        done = subprocess.run(
            [self.python, "-c", code], env=self._environment("old-desk"), check=True, capture_output=True, text=True
        )
        return done.stdout.strip()


def test_old_workers_keep_the_database_from_being_upgraded_and_those_that_sleep_through_it_do_nothing(
    old_site: OldSite, tmp_path: Path
) -> None:
    job_id = old_site.run_old(_SUBMIT)
    workers = [old_site.start_fake(name) for name in ("old-1", "old-2")]
    until(lambda: int(old_site.run_old(_COUNT)) > 4, 120, what="frames of the old release")
    refused = old_site.run("database", "upgrade")
    assert (refused.returncode, "Stop workers" in refused.stderr) == (Conflict.exit_code, True), refused.stderr
    new = old_site.run("status", job_id)
    assert (new.returncode, "database upgrade" in new.stderr) == (DatabaseOutdated.exit_code, True), new.stderr
    assert workers[0].end(90) == 0
    if old_site.services:
        workers[1].freeze()
    else:
        workers[1].freeze_between_transactions(old_site.data / "renderctl.db")
    until(lambda: old_site.run("database", "upgrade").returncode == 0, 180, what="an upgrade")
    late = old_site.start_fake("old-3")
    assert late.wait(60) == DatabaseOutdated.exit_code
    assert "Install the newer renderctl" in late.log.read_text() or "this renderctl needs" in late.log.read_text()
    workers[1].thaw()
    heir = old_site.start_fake("new-1")
    connection = connected(old_site)
    wait_for_end(connection.farm, job_id, 120)
    assert workers[1].wait(60) != 0
    ends = require_whole(connection.farm, job_id, tmp_path / "images", SIZE)
    assert ends[AttemptState.SUCCEEDED] == 60
    connection.close()
    assert heir.end(90) == 0
    require_quiet(old_site)
