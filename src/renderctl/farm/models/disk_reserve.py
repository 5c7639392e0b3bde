"""The reserve of free disk that uploads leave: outputs of what is being rendered, logs and the database need it."""

import shutil

from renderctl.core.errors import StoreFull
from renderctl.core.private_files import make_private_folder
from renderctl.farm import Farm


def require_space(farm: Farm, stored: int, arriving: int = 0) -> None:
    """Whether there is room for so many bytes in the store, and beside it for those that arrive here first.

    Raises StoreFull.
    """
    reserve, store_free = farm.settings.store.min_free_mb << 20, farm.store.free_bytes()
    if store_free is not None:
        _require("The store", store_free, stored + arriving, reserve)  # what arrives lies on the same disk, most often
    if arriving:
        _require("The disk of the server", _free(farm), arriving, reserve)


def _require(place: str, free: int, size: int, reserve: int) -> None:
    if size and free - size < reserve:
        raise StoreFull(
            f"{place} has {free >> 20:,} MB free: too little for {max(1, size >> 20):,} MB more.",
            hint=f"{reserve >> 20:,} MB stay free (store.min_free_mb). Remove jobs and models, run `renderctl gc`, "
            "or give it a larger disk.",
        )


def _free(farm: Farm) -> int:
    make_private_folder(farm.settings.data_dir)
    return shutil.disk_usage(farm.settings.data_dir).free
