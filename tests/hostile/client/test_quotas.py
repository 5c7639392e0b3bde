"""Nobody takes up the farm alone: what users and projects have at a time is limited, also for two requests at once."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from renderctl.core.actors import Actor, Role, Via
from renderctl.core.errors import MissingFiles, QuotaExceeded, RenderctlError, StoreFull
from renderctl.core.jobs import Input, Job
from renderctl.core.models import Model
from renderctl.core.quotas import Amount
from renderctl.core.settings import QuotaSettings, StoreSettings
from renderctl.farm import Farm
from renderctl.farm.jobs.control import cancel, retry
from renderctl.farm.jobs.submit import SubmitRequest, submit
from renderctl.farm.models.blob_upload import upload_missing as send_here
from renderctl.farm.models.incoming_uploads import partial_upload, wanted_files
from renderctl.farm.models.register_model import UploadedModel, add_model
from renderctl.farm.people.quotas import quota
from renderctl.farm.webhooks.registrations import add_webhook
from renderctl.repository.schema.jobs import blob_leases
from tests.farms import ACTOR, FACTS, close, given_model, make_farm, quick_settings, work_off
from tests.server.conftest import Served

EVE = Actor("eve", role=Role.ARTIST, projects=frozenset(["default"]), via=Via.TOKEN)
BOB = replace(EVE, name="bob")
MB = 1 << 20


def limited(farm: Farm, **limits: int | None) -> Farm:
    """The farm, with such limits."""
    return replace(farm, settings=replace(farm.settings, quota=QuotaSettings(**limits)))


def ask(farm: Farm, actor: Actor = EVE, frames: str = "1", model: Model | None = None) -> Job:
    model = model or given_model(farm, name="shot")
    return submit(farm, actor, model, SubmitRequest(frames=frames, project="default")).job


def file(number: int, size: int) -> tuple[bytes, Input]:
    content = number.to_bytes(4) + bytes(size - 4)
    return content, Input(f"{number}.blend", sha256(content).hexdigest(), size)


def send(farm: Farm, number: int, size: int, actor: Actor = EVE) -> Input:
    content, described = file(number, size)
    part = partial_upload(farm, actor, described.digest, size)
    with part.begun(0) as writing:
        writing.write(content)
        part.complete(size)
    return described


def make_model(farm: Farm, *files: Input, name: str = "big") -> Model:
    return add_model(farm, EVE, UploadedModel(name, files[0].path, FACTS, files))[0]


def test_two_million_tasks_in_one_request_are_refused_before_anything_is_written(served: Served) -> None:
    given_model(served.farm)
    body = {"model": "shot", "frames": "0-1000000", "cameras": ["Camera", "Side"], "project": "default"}
    eve = served.person("eve", Role.ARTIST, "default")
    answer = served.client.post("/api/v1/jobs", json=body, headers=eve)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "quota_exceeded")
    assert "2,000,002 tasks; 200,000" in answer.json()["error"]["message"]
    assert "quota.job_tasks" in answer.json()["error"]["hint"]
    assert served.client.get("/api/v1/jobs", headers=eve).json()["jobs"] == []


def test_open_jobs_are_limited_until_some_have_ended(farm: Farm) -> None:
    farm = limited(farm, user_jobs=2)
    first, _ = ask(farm), ask(farm)
    with pytest.raises(QuotaExceeded, match=r"user eve would have 3 jobs .*; 2 are allowed") as refused:
        ask(farm)
    assert "quota.user_jobs" in (refused.value.hint or "")
    ask(farm, BOB)
    cancel(farm, EVE, first.id)
    ask(farm)
    with pytest.raises(QuotaExceeded):
        retry(farm, EVE, first.id)


def test_open_tasks_are_limited(farm: Farm) -> None:
    farm = limited(farm, user_tasks=100)
    ask(farm, frames="1-60")
    with pytest.raises(QuotaExceeded, match="101 tasks"):
        ask(farm, frames="1-41")
    ask(farm, frames="1-40")


def test_a_project_has_limits_that_its_members_share(farm: Farm) -> None:
    farm = limited(farm, project_jobs=2)
    ask(farm, BOB)
    ask(farm, EVE)
    with pytest.raises(QuotaExceeded, match="project default"):
        ask(farm, EVE)


def test_whoever_holds_the_keys_to_the_farms_parts_has_no_limit(farm: Farm) -> None:
    farm = limited(farm, user_jobs=1, project_jobs=1, job_tasks=1)
    for _ in range(3):
        ask(farm, ACTOR, frames="1-10")


def test_two_requests_at_once_do_not_pass_together(farm: Farm) -> None:
    farm = limited(farm, user_jobs=3)
    model = given_model(farm)

    def attempt(_number: int) -> bool:
        try:
            ask(farm, model=model)
        except QuotaExceeded:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(24))) == 3


def test_files_on_their_way_are_limited_whether_they_were_announced_or_not(farm: Farm) -> None:
    farm = limited(farm, user_incoming_mb=10)
    announced = [file(number, 2 * MB)[1] for number in range(4)]
    assert len(wanted_files(farm, EVE, announced)) == 4
    assert len(wanted_files(farm, EVE, announced)) == 4  # to ask again takes no more
    with pytest.raises(QuotaExceeded, match=r"11\.0 MiB of uploaded files"):
        wanted_files(farm, EVE, [file(9, 3 * MB)[1]])
    with pytest.raises(QuotaExceeded):
        partial_upload(farm, EVE, file(9, 3 * MB)[1].digest, 3 * MB)
    send(farm, 8, 2 * MB)
    wanted_files(farm, BOB, [file(9, 3 * MB)[1]])


def test_files_at_once_do_not_pass_together(farm: Farm) -> None:
    farm = limited(farm, user_incoming_mb=3)

    def attempt(number: int) -> bool:
        try:
            partial_upload(farm, EVE, file(number, MB)[1].digest, MB)
        except QuotaExceeded:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(24))) == 3


def test_files_that_were_made_a_model_are_on_their_way_no_longer(farm: Farm) -> None:
    farm = limited(farm, user_incoming_mb=3)
    files = [send(farm, number, MB) for number in range(3)]
    with pytest.raises(QuotaExceeded):
        send(farm, 3, MB)
    make_model(farm, *files)
    send(farm, 3, MB)
    (report,) = quota(farm, EVE, user="eve")
    assert report.incoming_bytes == Amount(MB, 3 * MB)


def test_an_announced_file_makes_nobody_its_reader(farm: Farm) -> None:
    described = send(farm, 1, MB, actor=BOB)
    assert len(wanted_files(farm, replace(EVE, projects=frozenset(["other"])), [described])) == 1
    assert farm.repository.blobs.is_announced(described.digest, MB, "eve")
    assert len(wanted_files(farm, replace(EVE, projects=frozenset(["other"])), [described])) == 1


def test_what_is_stored_is_limited_and_files_that_models_share_count_once(farm: Farm) -> None:
    farm = limited(farm, user_stored_mb=3)
    files = [send(farm, number, MB) for number in range(2)]
    make_model(farm, *files)
    more = send(farm, 2, MB)
    make_model(farm, *files, more)
    (report,) = quota(farm, EVE, user="eve")
    assert report.stored_bytes == Amount(3 * MB, 3 * MB)
    one_more = send(farm, 3, MB)
    with pytest.raises(QuotaExceeded, match=r"4\.0 MiB of models and images"):
        make_model(farm, one_more, name="another")


def test_what_jobs_have_rendered_counts_until_they_are_removed(farm: Farm) -> None:
    model = given_model(farm)
    job = ask(farm, frames="1-2", model=model)
    work_off(farm)
    (report,) = quota(farm, EVE, user="eve")
    rendered = sum(item.size for item in farm.repository.outputs.of_job(job.id)[0])
    assert report.stored_bytes.used == rendered > 0
    farm.repository.jobs.remove(job.id, actor=ACTOR)
    assert quota(farm, EVE, user="eve")[0].stored_bytes.used == 0


def test_files_that_jobs_bring_count_as_well(farm: Farm) -> None:
    farm = limited(farm, user_stored_mb=2)
    model = given_model(farm)
    files = tuple(replace(send(farm, number, MB), path=f"_inputs/{number}/a.blend") for number in range(3))
    for number in range(2):
        request = SubmitRequest(frames="1", project="default", inputs=(files[number],))
        submit(farm, EVE, model, request)
    with pytest.raises(QuotaExceeded, match=r"3\.0 MiB of models and images"):
        submit(farm, EVE, model, SubmitRequest(frames="1", project="default", inputs=files[2:]))


def test_what_was_sent_for_a_model_that_is_gone_is_on_its_way_again(farm: Farm) -> None:
    """Else one could fill the store by and by with files that nothing needs."""
    farm = limited(farm, user_incoming_mb=2)
    for number in range(2):
        farm.repository.models.remove(make_model(farm, send(farm, number, MB)).id, actor=EVE)
    with pytest.raises(QuotaExceeded):
        send(farm, 2, MB)


def test_numbers_of_files_are_limited_however_small_they_are(farm: Farm) -> None:
    farm = limited(farm, user_incoming_files=10)
    wanted_files(farm, EVE, [Input(f"{number}", f"{number:064x}", 0) for number in range(10)])
    with pytest.raises(QuotaExceeded, match="11 uploaded files"):
        wanted_files(farm, EVE, [Input("10", f"{10:064x}", 0)])


def test_digests_that_were_made_up_leave_nothing_in_the_database(farm: Farm) -> None:
    made_up = tuple(Input(f"{number}.blend", f"{number:064x}", 1) for number in range(50))
    with pytest.raises(MissingFiles):
        make_model(farm, *made_up)
    farm = limited(farm, user_incoming_files=10)
    with pytest.raises(QuotaExceeded):
        wanted_files(farm, EVE, made_up)
    leased = farm.repository.database.read(lambda connection: connection.execute(select(blob_leases)).all())
    assert leased == []


def test_webhooks_of_a_user_are_limited(farm: Farm) -> None:
    farm = limited(farm, user_webhooks=2)
    for _ in range(2):
        add_webhook(farm, EVE, "https://93.184.215.14/", job=ask(farm).id)
    with pytest.raises(QuotaExceeded, match="3 webhooks"):
        add_webhook(farm, EVE, "https://93.184.215.14/", job=ask(farm).id)


def test_a_reserve_of_the_disk_stays_free_for_what_is_rendered(tmp_path: Path, served: Served) -> None:
    eve = served.person("eve", Role.ARTIST, "default")
    model = given_model(served.farm)
    full = replace(served.farm.settings, store=replace(served.farm.settings.store, min_free_mb=1 << 40))
    object.__setattr__(served.farm, "settings", full)
    content, described = file(1, MB)
    address = f"/api/v1/uploads/{described.digest}?size={MB}"
    answer = served.client.put(address, content=content, headers=eve)
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "store_full")
    assert "store.min_free_mb" in answer.json()["error"]["hint"]
    assert served.client.get(f"/api/v1/uploads/{described.digest}", headers=eve).json()["received"] == 0
    ask(served.farm, model=model)
    work_off(served.farm)
    assert served.client.get("/api/v1/jobs", headers=eve).json()["jobs"][0]["outputs"] == 1


def test_uploads_past_the_server_leave_the_reserve_of_a_local_store_too(tmp_path: Path) -> None:
    farm = make_farm(tmp_path, settings=replace(quick_settings(tmp_path), store=StoreSettings(min_free_mb=1 << 40)))
    content, described = file(1, MB)
    (tmp_path / "1.blend").write_bytes(content)
    with pytest.raises(StoreFull, match="store has"):
        send_here(farm, {tmp_path / "1.blend": described})
    close(farm)


def test_everybody_is_told_what_they_use_and_may_use(served: Served) -> None:
    eve = served.person("eve", Role.ARTIST, "default")
    given_model(served.farm)
    served.client.post("/api/v1/jobs", json={"model": "shot", "frames": "1-7"}, headers=eve)
    reports: list[dict[str, Any]] = served.client.get("/api/v1/quota", headers=eve).json()
    assert [(report["kind"], report["name"]) for report in reports] == [("user", "eve"), ("project", "default")]
    assert reports[0]["jobs"] == {"used": 1, "allowed": 1000}
    assert reports[0]["tasks"] == {"used": 7, "allowed": 2_000_000}


def test_files_are_not_made_smaller_by_announcing_them_again(farm: Farm) -> None:
    """What is here counts by what it is, whatever is said of it later."""
    farm = limited(farm, user_incoming_mb=3)
    received = send(farm, 1, MB)
    _, begun = file(2, MB)
    with partial_upload(farm, EVE, begun.digest, begun.size).begun(0) as writing:
        writing.write(bytes(MB - 1))
    made = send(farm, 3, 4)
    make_model(farm, made)
    wanted_files(farm, EVE, [replace(begun, size=0)])
    for item in (received, begun):
        with suppress(RenderctlError):
            partial_upload(farm, EVE, item.digest, 0)
    assert quota(farm, EVE)[0].incoming_bytes == Amount(2 * MB, 3 * MB)
    with pytest.raises(QuotaExceeded):
        send(farm, 4, 2 * MB)


def test_a_part_is_not_kept_for_ever_by_calling_it_smaller(served: Served) -> None:
    eve = served.person("eve", Role.ARTIST, "default")
    _, begun = file(1, MB)
    address = f"/api/v1/uploads/{begun.digest}"
    assert served.client.put(f"{address}?size={MB}", content=bytes(1000), headers=eve).status_code == 200
    answer = served.client.put(f"{address}?size=0&offset=1000", headers=eve)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_input")
