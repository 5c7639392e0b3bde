"""The audit log: a chain that tells of every entry that was changed, put in, taken out or cut off."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from renderctl.core.actors import Actor, Role, Via
from renderctl.core.audit import AuditFilter, ChainHead
from renderctl.core.errors import Conflict
from renderctl.core.permissions import FARM, Subject
from renderctl.farm import Farm
from renderctl.repository import Repository
from renderctl.repository.audit.key_file import KeyFile
from renderctl.repository.database.audit_chain import HeadFile, SigningKeys, chain_mac, key_id, signature
from renderctl.repository.database.transactions import Database
from renderctl.repository.schema.audit import audit_heads, audits
from tests.fakes import FakeClock
from tests.farms import ACTOR, given_job

KEY = b"a key of thirty-two characters.."
ARTIST = Actor("mona", role=Role.ARTIST, via=Via.TOKEN, address="192.0.2.7")


@pytest.fixture
def sealed(farm: Farm, clock: FakeClock, tmp_path: Path) -> Farm:
    """A farm whose key is its own, and that remembers the end of its log in a file."""
    return with_seal(farm, clock, SigningKeys(lambda: KEY, HeadFile(tmp_path / "audit.head")))


def with_seal(farm: Farm, clock: FakeClock, seal: SigningKeys) -> Farm:
    engine = farm.repository.database.engine
    database = Database(engine, now=clock.now, heartbeat_limit_s=1.0, signing_keys=seal)
    return replace(farm, repository=Repository(database))


def given_deeds(farm: Farm) -> str:
    """A job that was submitted, made more important, paused and canceled; its id."""
    job = given_job(farm, "1-3")
    farm.repository.jobs.set_priority(job.id, 9, actor=ACTOR)
    farm.repository.jobs.pause(job.id, actor=ACTOR)
    farm.repository.jobs.cancel(job.id, actor=ACTOR)
    return job.id


def problems(farm: Farm, seen: ChainHead | None = None) -> list[str]:
    return [f"{problem.seq}: {problem.what}" for problem in farm.repository.audit_chain.verify(seen).problems]


def test_what_was_written_verifies_and_the_end_is_told(sealed: Farm) -> None:
    given_deeds(sealed)
    verdict = sealed.repository.audit_chain.verify()
    assert (verdict.problems, verdict.entries, verdict.weak, verdict.before) == ([], 5, 0, 0)
    assert verdict.head == sealed.repository.audit_chain.head()


def test_an_entry_says_who_from_where_what_to_what_and_to_what_end(sealed: Farm) -> None:
    job_id = given_deeds(sealed)
    subject = Subject("job", job_id, "ada", frozenset(["film"]))
    sealed.repository.audit.add_refusal(ARTIST, "job.cancel", subject, "hidden")
    (entry,) = sealed.repository.audit.newest(entry_filter=AuditFilter(refused=True))
    assert (entry.actor, entry.via, entry.address) == ("mona", "token", "192.0.2.7")
    assert (entry.action, entry.subject, entry.outcome) == ("job.cancel", job_id, "hidden")
    assert entry.details == {"kind": "job", "owner": "ada", "projects": ["film"]}


@pytest.mark.parametrize(
    "change",
    [
        {"actor": "eve"},
        {"subject": "another"},
        {"details": {"priority": 1}},
        {"outcome": "refused"},
        {"address": "::1"},
    ],
)
def test_a_changed_entry_is_found(sealed: Farm, change: dict[str, object]) -> None:
    given_deeds(sealed)
    with sealed.repository.database.engine.begin() as connection:
        connection.execute(audits.update().where(audits.c.seq == 3).values(change))
    assert problems(sealed) == ["3: it was changed"]


def test_a_gap_is_found(sealed: Farm) -> None:
    given_deeds(sealed)
    with sealed.repository.database.engine.begin() as connection:
        connection.execute(audits.delete().where(audits.c.seq.in_((2, 3))))
    assert problems(sealed) == ["4: the entries 2 to 3 before it are gone"]


def test_a_cut_beginning_is_found(sealed: Farm) -> None:
    given_deeds(sealed)
    with sealed.repository.database.engine.begin() as connection:
        connection.execute(audits.delete().where(audits.c.seq < 3))
    assert problems(sealed) == ["3: the entries before it, 2 in all, are gone"]


def test_a_cut_tail_is_found_although_the_database_was_made_to_agree(sealed: Farm) -> None:
    given_deeds(sealed)
    with sealed.repository.database.engine.begin() as connection:
        connection.execute(audits.delete().where(audits.c.seq > 3))
        third = connection.execute(select(audits).where(audits.c.seq == 3)).one()
        connection.execute(audit_heads.update().values(seq=3, mac=third.mac))
    assert problems(sealed) == ["3: what follows it, up to entry 5, is gone"]


def test_a_tail_that_was_cut_and_grew_again_is_found(sealed: Farm, clock: FakeClock) -> None:
    job_id = given_deeds(sealed)
    with sealed.repository.database.engine.begin() as connection:
        connection.execute(audits.delete().where(audits.c.seq > 4))
        fourth = connection.execute(select(audits).where(audits.c.seq == 4)).one()
        connection.execute(audit_heads.update().values(seq=4, mac=fourth.mac))
    elsewhere = with_seal(sealed, clock, SigningKeys(lambda: KEY))
    elsewhere.repository.jobs.set_priority(job_id, 1, actor=ACTOR)
    assert problems(elsewhere) == []
    assert problems(sealed) == ["5: it is another one than was seen here"]


def test_an_end_that_somebody_has_kept_elsewhere_finds_a_log_that_was_made_anew(farm: Farm, clock: FakeClock) -> None:
    given_deeds(farm)
    kept = farm.repository.audit_chain.verify().head
    with farm.repository.database.engine.begin() as connection:
        connection.execute(audits.delete())
        connection.execute(audit_heads.delete())
    farm.repository.jobs.set_priority(given_deeds(farm), 1, actor=ACTOR)
    assert problems(farm) == []
    assert problems(farm, kept) == ["5: it is another one than was seen here"]


def test_an_entry_that_was_put_in_is_found(sealed: Farm) -> None:
    given_deeds(sealed)
    with sealed.repository.database.engine.begin() as connection:
        row = connection.execute(select(audits).where(audits.c.seq == 5)).one()._asdict()
        connection.execute(audits.insert(), {**row, "id": row["id"] + 1, "seq": 6, "actor": "eve"})
        connection.execute(audits.insert(), {**row, "id": row["id"] + 2, "seq": None, "actor": "eve"})
    found = problems(sealed)
    assert {"6: it was changed", "6: the chain does not end where the database says that it does"} < set(found)
    assert "is not signed" in found[-1]


def test_an_entry_that_was_written_twice_is_found(sealed: Farm) -> None:
    given_deeds(sealed)
    with sealed.repository.database.engine.begin() as connection:
        row = connection.execute(select(audits).where(audits.c.seq == 5)).one()._asdict()
        connection.execute(audits.insert(), {**row, "id": row["id"] + 1, "seq": None})
    assert problems(sealed) == ["6: it is a copy of another one"]


def test_an_entry_that_nobody_has_given_a_place_yet_gets_it_with_the_next(farm: Farm) -> None:
    job_id = given_deeds(farm)
    with farm.repository.database.engine.begin() as connection:  # as if whoever wrote it had died
        connection.execute(audits.update().where(audits.c.seq == 5).values(seq=None, mac=None))
        fourth = connection.execute(select(audits).where(audits.c.seq == 4)).one()
        connection.execute(audit_heads.update().values(seq=4, mac=fourth.mac))
    farm.repository.jobs.set_priority(job_id, 1, actor=ACTOR)
    verdict = farm.repository.audit_chain.verify()
    assert (verdict.problems, verdict.entries, verdict.waiting) == ([], 6, 0)


def test_entries_that_were_signed_with_another_key_are_found(sealed: Farm, clock: FakeClock) -> None:
    job_id = given_deeds(sealed)
    without = with_seal(sealed, clock, SigningKeys())
    without.repository.jobs.set_priority(job_id, 1, actor=ACTOR)
    assert problems(sealed) == ["6: it is not signed with the farm's key (audit.key)"]
    assert "it is signed with a key that is not here" in problems(without)[0]


def test_a_farm_that_gets_a_key_of_its_own_later_says_how_much_could_be_forged(farm: Farm, clock: FakeClock) -> None:
    job_id = given_deeds(farm)
    later = with_seal(farm, clock, SigningKeys(lambda: KEY))
    later.repository.jobs.set_priority(job_id, 1, actor=ACTOR)
    verdict = later.repository.audit_chain.verify()
    assert (verdict.problems, verdict.entries, verdict.weak) == ([], 6, 5)


def test_what_is_forgotten_in_good_order_is_no_gap(sealed: Farm, clock: FakeClock) -> None:
    given_deeds(sealed)
    clock.advance(seconds=86_400 * 8)
    job_id = given_deeds(sealed)
    assert sealed.repository.audit.delete_older_than(7, actor=ACTOR) == 5
    assert sealed.repository.audit.delete_older_than(7, actor=ACTOR) == 0
    verdict = sealed.repository.audit_chain.verify()
    assert (verdict.problems, verdict.entries) == ([], 5)
    with sealed.repository.database.engine.begin() as connection:
        connection.execute(audits.delete().where(audits.c.seq == 6))
    assert problems(sealed) == ["7: the entries before it, 6 in all, are gone"]
    assert job_id


def test_what_was_forgotten_twice_joins_on(sealed: Farm, clock: FakeClock) -> None:
    for _ in range(3):
        given_deeds(sealed)
        clock.advance(seconds=86_400 * 8)
        sealed.repository.audit.delete_older_than(9, actor=ACTOR)
    assert problems(sealed) == []


def test_a_log_that_keeps_nothing_comes_to_an_end(sealed: Farm, clock: FakeClock) -> None:
    given_deeds(sealed)
    clock.advance(seconds=1)
    assert sealed.repository.audit.delete_older_than(0, actor=ACTOR) == 5
    clock.advance(seconds=1)
    assert sealed.repository.audit.delete_older_than(0, actor=ACTOR) == 0
    assert problems(sealed) == []


def test_entries_from_before_the_chain_are_a_problem_until_they_are_adopted(sealed: Farm) -> None:
    old = {"at": sealed.clock.now(), "actor": "ada", "kind": "user", "action": "job.submit", "subject": "1"}
    with sealed.repository.database.engine.begin() as connection:
        connection.execute(audits.insert(), [{**old, "seq": -seq, "details": {}} for seq in (1, 2)])
    given_deeds(sealed)
    verdict = sealed.repository.audit_chain.verify()
    assert (len(verdict.problems), verdict.entries, verdict.before) == (1, 5, 2)
    assert sealed.repository.audit.adopt_unsigned(actor=ACTOR) == 2
    verdict = sealed.repository.audit_chain.verify()
    assert (verdict.problems, verdict.entries, verdict.before) == ([], 5 + 2 + 1, 0)
    with sealed.repository.database.engine.begin() as connection:
        connection.execute(audits.update().where(audits.c.subject == "1").values(actor="mona"))
    assert {problem.split(": ")[1] for problem in problems(sealed)} == {"it was changed"}
    assert sealed.repository.audit.adopt_unsigned(actor=ACTOR) == 0


def test_deeds_of_many_at_once_make_one_chain(sealed: Farm) -> None:
    jobs = [given_job(sealed, "1") for _ in range(4)]

    def steer(job_id: str) -> None:
        for priority in range(10):
            sealed.repository.jobs.set_priority(job_id, priority, actor=ACTOR)

    threads = [threading.Thread(target=steer, args=(job.id,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    verdict = sealed.repository.audit_chain.verify()
    assert (verdict.problems, verdict.entries) == ([], 1 + 4 + 40)


def test_a_deed_that_fails_leaves_no_entry(sealed: Farm) -> None:
    job_id = given_deeds(sealed)
    with pytest.raises(Exception, match="only a paused job"):
        sealed.repository.jobs.resume(job_id, actor=ACTOR)
    assert sealed.repository.audit_chain.verify().entries == 5


def test_the_log_is_filtered(sealed: Farm) -> None:
    job_id = given_deeds(sealed)

    def actions(**wanted: object) -> list[str]:
        return [item.action for item in sealed.repository.audit.newest(entry_filter=AuditFilter(**wanted))]  # type: ignore[arg-type]

    assert actions(subject=job_id[:10], action="job.p") == ["job.pause", "job.priority"]
    assert actions(by="nobody") == actions(refused=True) == actions(since=sealed.clock.now().replace(year=2900)) == []
    assert [entry.seq for entry in sealed.repository.audit.after(AuditFilter(after=3))] == [4, 5]


@pytest.mark.parametrize("action", ["worker.control", "worker"])
def test_entries_are_found_by_the_new_name_of_their_action(sealed: Farm, action: str) -> None:
    for name in ("worker.steer", "worker.control", "job.tell"):
        sealed.repository.audit.add_refusal(ACTOR, name, FARM, "refused")
    entries = sealed.repository.audit.newest(entry_filter=AuditFilter(action=action))
    assert [entry.action for entry in entries] == ["worker.control", "worker.steer"]


def test_the_key_of_an_embedded_farm_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    key = KeyFile(tmp_path / "audit.key").key()
    assert KeyFile(tmp_path / "audit.key").key() == key
    assert (tmp_path / "audit.key").stat().st_mode & 0o777 == 0o600


@pytest.fixture
def filed(farm: Farm, clock: FakeClock, tmp_path: Path) -> Farm:
    """A farm whose key is in a file."""
    return with_seal(farm, clock, seal_of(tmp_path))


def seal_of(folder: Path) -> SigningKeys:
    file = KeyFile(folder / "audit.key")
    return SigningKeys(file.key, HeadFile(folder / "audit.head"), file.former, file.replace)


def test_what_a_replaced_key_has_signed_still_verifies_and_who_replaced_it_is_told(filed: Farm, tmp_path: Path) -> None:
    keys = [KeyFile(tmp_path / "audit.key").key()]
    for _ in range(2):
        given_deeds(filed)
        rotated = filed.repository.audit.rotate_key(actor=ARTIST)
        keys.append(KeyFile(tmp_path / "audit.key").key())
        assert (rotated.former, rotated.key) == (key_id(keys[-2]), key_id(keys[-1]))
    job_id = given_deeds(filed)
    assert len(set(keys)) == 3
    assert KeyFile(tmp_path / "audit.key").former() == keys[1::-1]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("audit.key*")} == {0o600}
    verdict = filed.repository.audit_chain.verify()
    assert (verdict.problems, verdict.weak, verdict.waiting) == ([], 0, 0)
    told = filed.repository.audit.newest(entry_filter=AuditFilter(action="audit.rotate"))
    assert [(item.actor, item.details["former"]) for item in told] == [
        ("mona", key_id(keys[1])),
        ("mona", key_id(keys[0])),
    ]
    assert job_id


def test_another_process_signs_with_the_new_key_from_then_on(filed: Farm, clock: FakeClock, tmp_path: Path) -> None:
    other = with_seal(filed, clock, seal_of(tmp_path))
    given_deeds(other)
    filed.repository.audit.rotate_key(actor=ACTOR)
    given_deeds(other)
    assert problems(filed) == problems(other) == []


def test_what_is_signed_with_a_replaced_key_afterwards_is_found(filed: Farm, clock: FakeClock, tmp_path: Path) -> None:
    job_id = given_deeds(filed)
    stolen = KeyFile(tmp_path / "audit.key").key()
    filed.repository.audit.rotate_key(actor=ACTOR)
    with_seal(filed, clock, SigningKeys(lambda: stolen)).repository.jobs.set_priority(job_id, 1, actor=ACTOR)
    assert problems(filed) == ["7: it is signed with a key that had been replaced"]


def test_a_replaced_key_rewrites_nothing_of_what_came_before_it_was(filed: Farm, tmp_path: Path) -> None:
    given_deeds(filed)
    stolen = KeyFile(tmp_path / "audit.key").key()
    filed.repository.audit.rotate_key(actor=ACTOR)
    with filed.repository.database.engine.begin() as connection:
        previous = connection.execute(select(audits).where(audits.c.seq == 4)).one().mac
        row = {**connection.execute(select(audits).where(audits.c.seq == 5)).one()._asdict(), "actor": "eve"}
        signed = signature(stolen, row)
        forged = {"actor": "eve", "signature": signed, "mac": chain_mac(stolen, previous, 5, signed)}
        connection.execute(audits.update().where(audits.c.seq == 5).values(forged))
    assert problems(filed) == ["6: it is not in its place"]


def test_keys_that_the_config_has_replaced_verify_what_they_have_signed(sealed: Farm, clock: FakeClock) -> None:
    job_id = given_deeds(sealed)
    later = with_seal(sealed, clock, SigningKeys(lambda: b"another one", former=lambda: [KEY]))
    later.repository.jobs.set_priority(job_id, 1, actor=ACTOR)
    assert (problems(later), later.repository.audit_chain.verify().weak) == ([], 0)
    with pytest.raises(Conflict, match=r"in no file"):
        later.repository.audit.rotate_key(actor=ACTOR)


def test_a_later_end_is_never_forgotten_for_an_earlier_one(tmp_path: Path) -> None:
    file = HeadFile(tmp_path / "audit.head")
    for seq in (3, 5, 4):
        file.save(ChainHead(seq, str(seq) * 64))
    assert file.load() == ChainHead(5, "5" * 64)
