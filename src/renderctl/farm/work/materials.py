"""Models unpacked on this machine: each once, whole or not at all, the least recently used ones given up for space."""

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from renderctl.farm import Farm
from renderctl.ids import new_id
from renderctl.jobs import Input
from renderctl.models import Model


@contextmanager
def unpacked(farm: Farm, model: Model) -> Iterator[Path]:
    """The root of the model's files, which stay as long as the context does. Raises StoreUnavailable, NotStored."""
    folder = farm.settings.data_dir / "models" / model.digest
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        if not folder.is_dir():
            _unpack(farm, farm.repository.model_inputs(model.id), folder)
        os.utime(folder)
        _give_up_others(folder, farm.settings.worker.cache_mb << 20)
        yield folder


def unpack_beside(farm: Farm, inputs: Sequence[Input], folder: Path) -> Path:
    """The inputs of one job, below `folder`."""
    if inputs:
        _unpack(farm, inputs, folder)
    return folder


def _unpack(farm: Farm, inputs: Sequence[Input], folder: Path) -> None:
    part = folder.with_name(f"{folder.name}.{new_id()}.part")
    try:
        for each in inputs:
            target = part / each.path
            target.parent.mkdir(parents=True, exist_ok=True)
            farm.store.get(each.digest, target)
        part.mkdir(exist_ok=True)
        try:
            part.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another slot was quicker
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _give_up_others(folder: Path, limit: int) -> None:
    """Remove models that nobody uses, the least recently used first, until the rest fits into `limit` bytes."""
    others = [each for each in folder.parent.iterdir() if each.is_dir() and each != folder and not each.suffix]
    sizes = {each: _size(each) for each in (folder, *others)}
    total = sum(sizes.values())
    for each in sorted(others, key=lambda path: path.stat().st_mtime):
        if total <= limit:
            return
        if _remove_unused(each):
            total -= sizes[each]


def _remove_unused(folder: Path) -> bool:
    with folder.with_suffix(".lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        shutil.rmtree(folder, ignore_errors=True)
        return True


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
