"""The systemd unit of the docs."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

HOWTO = Path(__file__).parents[2] / "docs" / "howto" / "workers.md"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze: apt-get install systemd")
def test_systemd_understands_the_unit_that_the_docs_give(tmp_path: Path) -> None:
    unit = re.search(r"```ini\n(\[Unit\].*?)```", HOWTO.read_text(encoding="utf-8"), re.DOTALL)
    assert unit is not None
    file = tmp_path / "renderctl-worker.service"
    file.write_text(unit[1].replace("/opt/renderctl/bin/renderctl", "/bin/true"), encoding="utf-8")
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(file)], capture_output=True, text=True, timeout=60
    )
    assert (verified.returncode, verified.stderr) == (0, "")
