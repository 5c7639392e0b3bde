"""A client names files that can not lie side by side: no worker is sent after them."""

import pytest

from renderctl.core.errors import InvalidInput, MissingFiles
from renderctl.core.jobs import Input
from renderctl.farm import Farm
from renderctl.farm.models.incoming_uploads import require_uploaded
from tests.farms import ACTOR


def files(*paths: str) -> list[Input]:
    return [Input(path, f"{number:064x}", 1) for number, path in enumerate(paths)]


@pytest.mark.parametrize(
    "paths",
    [
        ("a.blend", "a.blend/wood.png"),
        ("tex/wood", "tex/wood/deep/er.png", "tex/wood-2", "tex/wood 3"),
        ("x.blend", "/".join(["ä" * 120] * 15)),
    ],
    ids=["a file in a file", "far below a file", "longer in bytes than file systems take"],
)
def test_files_that_can_not_be_laid_out_are_no_model(farm: Farm, paths: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput) as refused:
        require_uploaded(farm, ACTOR, files(*paths))
    assert refused.type is InvalidInput  # not that they were not sent


def test_files_side_by_side_only_have_to_be_sent(farm: Farm) -> None:
    with pytest.raises(MissingFiles):
        require_uploaded(farm, ACTOR, files("a", "a.b", "a b/c", "b/a", "ä" * 120))
