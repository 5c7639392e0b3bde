"""What goes: jobs, models, and what they leave in the store."""

from pathlib import Path

import pytest

from renderctl.farm import Farm
from tests.cli.conftest import Ctl
from tests.farms import given_job, given_model, work_off

EITHER_WAY = True


@pytest.mark.directly
def test_gc_frees_what_a_removed_model_has_left(ctl: Ctl, given: Farm) -> None:
    given_model(given)
    assert ctl("models", "rm", "shot").code == 0
    assert ctl("gc").out == (
        "Removed 0 blobs (0 B); 1 stay.\n"
        "Nothing points to 1 of these yet: they are young, or somebody has asked for them.\n"
    )
    assert ctl("gc", "--grace", "0", "--dry-run").out == "Would remove 1 blob (17 B); 0 stay.\n"
    said = ctl("gc", "--grace", "0", "--json")
    assert (said.code, said.document["removed"], said.document["removed_bytes"]) == (0, 1, 17)
    assert list(given.store.blobs()) == []


@pytest.mark.directly
def test_gc_names_what_the_store_lacks_and_says_so_by_its_exit_code(ctl: Ctl, given: Farm) -> None:
    job = given_job(given, "1")
    work_off(given)
    (output,) = given.repository.outputs.of_job(job.id)[0]
    given.store.remove([output.digest])
    said = ctl("gc")
    assert said.code == 1
    assert f"The store lacks job {job.id}, 0001.png of task 1" in said.out
    assert "are lost" in said.err
    said = ctl("gc", "--json")
    assert (said.code, said.document["missing"][0]["digest"]) == (1, output.digest)


@pytest.mark.directly
def test_gc_leaves_another_farms_store_alone(ctl: Ctl, given: Farm, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    given.store.put(tmp_path / "file", "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881")
    said = ctl("gc", "--grace", "0")
    assert said.code == 9
    assert "another farm's" in said.err


@pytest.mark.directly
def test_a_grace_that_makes_no_sense_is_a_usage_error(ctl: Ctl) -> None:
    assert ctl("gc", "--grace", "soon").code == 2
    assert ctl("gc", "--grace", "-1").code == 2


def test_jobs_rm_removes_a_job_and_says_what_that_frees(ctl: Ctl, given: Farm) -> None:
    job = given_job(given, "1-2")
    said = ctl("jobs", "rm", job.id)
    assert (said.code, "--force" in said.err) == (9, True)
    work_off(given)
    said = ctl("jobs", "rm", job.id)
    assert said.code == 0
    assert said.out.startswith(f"Removed job {job.id} (shot): 2 tasks, 2 images of ")
    assert ctl("status", job.id).code == 6
    assert ctl("jobs").out == "There are no jobs.\n"


def test_a_selection_of_jobs_is_removed_only_when_that_is_confirmed(ctl: Ctl, given: Farm) -> None:
    given_job(given, "1")
    work_off(given)
    assert ctl("jobs", "rm", "--older-than", "30d").out == "No job is that old.\n"
    said = ctl("jobs", "rm", "--older-than", "0d", "--state", "succeeded")
    assert (said.code, "--yes" in said.err) == (2, True)
    said = ctl("jobs", "rm", "--older-than", "0d", "--state", "succeeded", "--yes", "--json")
    assert (said.code, len(said.document["jobs"])) == (0, 1)
    for words in ((), ("--older-than", "soon"), ("--state", "failed"), ("x", "--older-than", "1d")):
        assert ctl("jobs", "rm", *words).code == 2
