"""`renderctl images`."""

from pathlib import Path
from typing import Annotated

import typer

from renderctl.cli.context import connect
from renderctl.cli.ui import console, farm_tables
from renderctl.cli.ui.progress import counting

app = typer.Typer(
    add_completion=False, name="images", help="List, build, pull and remove render images.", invoke_without_command=True
)
Reference = Annotated[str, typer.Argument(metavar="IMAGE", help="NAME:TAG, or a digest.", show_default=False)]


def _option(flag: str, metavar: str, text: str) -> typer.models.OptionInfo:
    return typer.Option(flag, metavar=metavar, help=text, show_default=False)  # type: ignore[no-any-return]


@app.callback()
def images(context: typer.Context) -> None:
    """List, build, pull and remove render images, which contain the Blender for containers."""
    if context.invoked_subcommand is None:
        console.show(connect().list_images(), farm_tables.images)


@app.command("list")
def list_images() -> None:
    """List the render images of the engine, the newest Blender first."""
    console.show(connect().list_images(), farm_tables.images)


@app.command("build")
def build_image(
    blender: Annotated[str | None, _option("--blender", "VERSION", "Such as 4.5 or 4.5.15. Else the newest.")] = None,
    cycles_only: Annotated[
        bool, typer.Option("--cycles-only", help="Without Mesa: smaller, but without EEVEE and Workbench.")
    ] = False,
    ca: Annotated[
        Path | None, _option("--ca", "FILE", "Certificates to trust, too, while it is built: a company's proxy.")
    ] = None,
    index: Annotated[str | None, _option("--index", "URL", "Python packages, in place of pypi.org.")] = None,
    apt_mirror: Annotated[
        str | None, _option("--apt-mirror", "URL", "Debian's packages, in place of deb.debian.org.")
    ] = None,
    archive: Annotated[
        str | None, _option("--archive", "URL", "Blender's own .tar.xz: the program, and not the bpy module.")
    ] = None,
    base: Annotated[str | None, _option("--base", "IMAGE@sha256:…", "In place of debian:bookworm-slim.")] = None,
    network: Annotated[str | None, _option("--network", "NAME", "Of the engine, for the build: such as host.")] = None,
    tag: Annotated[str | None, _option("--tag", "NAME:TAG", "In place of renderctl-blender:VERSION.")] = None,
    sha256: Annotated[
        str | None, _option("--sha256", "DIGEST", "Of Blender's module or archive, where we do not know it.")
    ] = None,
    unpinned: Annotated[
        bool, typer.Option("--unpinned", help="Accept a base image or a Blender without a digest.")
    ] = False,
) -> None:
    """Build a render image: Debian, one Blender, the libraries that it needs, and nothing else."""
    from renderctl.executors.images import BuildRecipe

    recipe = BuildRecipe(blender, cycles_only, tag, ca, index, apt_mirror, archive, base, network, sha256, unpinned)
    with counting("Building") as on_step:
        built = connect().build_image(recipe, on_step)
    console.show(built, lambda image: f"Built {farm_tables.image(image)}.")


@app.command("pull")
def pull_image(image: Reference) -> None:
    """Pull a render image from its registry."""
    with counting("Pulling") as on_step:
        pulled = connect().pull_image(image, on_step)
    console.show(pulled, lambda found: f"Pulled {farm_tables.image(found)}.")


@app.command("rm")
def remove_image(image: Reference) -> None:
    """Remove a render image that no container uses."""
    console.show(connect().remove_image(image), lambda removed: f"Removed {farm_tables.image(removed)}.")
