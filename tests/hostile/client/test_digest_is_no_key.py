"""Who knows the digest of somebody else's file, and nothing of what is in it, gets none of it."""

import urllib.request
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from renderctl.core.actors import Actor, Role
from renderctl.core.errors import DigestMismatch, MissingFiles
from renderctl.core.jobs import Input
from renderctl.core.settings import ServeSettings, Settings
from renderctl.farm import Farm
from renderctl.farm.models.incoming_uploads import partial_upload, promote, wanted_files
from renderctl.farm.models.register_model import UploadedModel, add_model
from tests.farms import FACTS, close, make_farm

ADA = Actor("ada", role=Role.ARTIST, projects=frozenset(["films"]))
EVE = Actor("eve", role=Role.ARTIST, projects=frozenset(["games"]))
#: One that goes to an S3 whole, and one that goes there in parts.
SIZES = [125, (8 << 20) + 1]


def given_file(size: int) -> tuple[bytes, Input]:
    content = bytes(index % 251 for index in range(250)) * (size // 250 + 1)
    content = content[:size]
    return content, Input("secret.png", sha256(content).hexdigest(), size)


def send(farm: Farm, actor: Actor, file: Input, content: bytes) -> None:
    part = partial_upload(farm, actor, file.digest, len(content))
    with part.begun(0) as writing:
        writing.write(content)
        part.complete(len(content))


def steal(farm: Farm, file: Input) -> None:
    """Make a model of the file."""
    add_model(farm, EVE, UploadedModel("theft", file.path, FACTS, (file,)))


@pytest.mark.parametrize("size", SIZES)
def test_zeros_under_the_digest_of_somebody_elses_file_make_nobody_its_reader(farm: Farm, size: int) -> None:
    content, file = given_file(size)
    send(farm, ADA, file, content)
    with pytest.raises(DigestMismatch):
        send(farm, EVE, file, bytes(size))
    assert [wanted_file.digest for wanted_file in wanted_files(farm, EVE, [file])] == [file.digest]
    with pytest.raises(MissingFiles):
        steal(farm, file)


def test_asking_what_to_send_tells_nobody_which_files_the_farm_has(farm: Farm) -> None:
    content, file = given_file(SIZES[0])
    unknown = Input("unknown.png", "0" * 64, 9)
    send(farm, ADA, file, content)
    for verify in (False, True):
        answer = wanted_files(farm, EVE, [file, unknown], verify=verify)
        assert {item.digest for item in answer} == {file.digest, unknown.digest}
        assert {entry.url for entry in answer} == {None}


def test_part_of_a_file_makes_nobody_its_reader(farm: Farm) -> None:
    content, file = given_file(SIZES[0])
    send(farm, ADA, file, content)
    with pytest.raises(DigestMismatch):
        send(farm, EVE, replace(file, size=1), content[:1])
    with pytest.raises(MissingFiles):
        steal(farm, file)


@pytest.mark.services
@pytest.mark.parametrize("size", SIZES)
def test_zeros_put_straight_into_the_store_make_nobody_a_reader(
    tmp_path: Path, on_services: Settings, size: int
) -> None:
    farm = make_farm(tmp_path, settings=replace(on_services, serve=ServeSettings(direct=True)))
    content, file = given_file(size)
    send(farm, ADA, file, content)
    (wanted,) = wanted_files(farm, EVE, [file])
    assert wanted.url is not None
    urllib.request.urlopen(urllib.request.Request(wanted.url, bytes(size), method="PUT")).close()
    with pytest.raises(DigestMismatch):
        promote(farm, EVE, file.digest, size)
    with pytest.raises(MissingFiles):
        steal(farm, file)
    close(farm)
