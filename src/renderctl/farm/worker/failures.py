"""What an attempt fails with when it is not Blender that says so."""

from renderctl.core.errors import BlobDamaged, ImageRefused, NotStored, RenderctlError, StoreUnavailable
from renderctl.core.jobs import Failure, Fault


def failure_from(error: RenderctlError) -> Failure:
    """When a port has failed: the node is not to blame for the farm's parts."""
    if isinstance(error, NotStored | BlobDamaged):  # every other frame needs the same blobs
        return Failure(Fault.FARM, f"{error.message} {error.hint or ''}".strip(), whole_job=True)
    if isinstance(error, ImageRefused):
        return Failure(Fault.SCENE, error.message)
    return Failure(Fault.FARM if isinstance(error, StoreUnavailable) else Fault.MACHINE, error.message)


def unexpected_failure(error: Exception) -> Failure:
    """When an error of our own code came up: another node, or another try, may do better. The log has the rest."""
    return Failure(Fault.MACHINE, f"renderctl met an error that it did not expect ({type(error).__name__}).")
