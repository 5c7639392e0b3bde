"""Image formats, in the words of every version."""

from typing import Any

EXTENSIONS = {
    "PNG": "png",
    "JPEG": "jpg",
    "OPEN_EXR": "exr",
    "OPEN_EXR_MULTILAYER": "exr",
    "WEBP": "webp",
    "TIFF": "tif",
}
MOVIES = ("FFMPEG", "AVI_JPEG", "AVI_RAW")


def choose_format(scene: Any, wanted: str | None, notes: list[str]) -> str:
    """Have the scene write `wanted` (None: its own format), and return the extension of it.

    A movie has no frames that could be rendered apart, and what can not be checked afterwards is not written: both
    become PNG, with a note.
    """
    own = scene.render.image_settings.file_format
    if wanted is None and own not in EXTENSIONS:
        what = "a movie" if own in MOVIES else own
        notes.append(f"The scene writes {what}; its frames are rendered as PNG.")
        wanted = "PNG"
    if wanted is not None:
        set_format(scene.render.image_settings, wanted)
    return EXTENSIONS[wanted or own]


def set_format(settings: Any, name: str) -> None:
    """5.0 and later choose a kind of media first; the modes of colour depend on the format."""
    mode = settings.color_mode
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE" if name == "OPEN_EXR_MULTILAYER" else "IMAGE"
    settings.file_format = name
    try:
        settings.color_mode = mode
    except TypeError:  # JPEG has no RGBA
        settings.color_mode = "RGB"


def size(render: Any) -> tuple[int, int]:
    """Width and height in pixels of what is written."""
    width, height = (
        max(1, pixels * render.resolution_percentage // 100) for pixels in (render.resolution_x, render.resolution_y)
    )
    if render.use_border and render.use_crop_to_border:
        width = int(render.border_max_x * width) - int(render.border_min_x * width)
        height = int(render.border_max_y * height) - int(render.border_min_y * height)
    return width, height


def forget_origin(render: Any) -> None:
    """Write neither paths, nor host names, nor times into the images, and burn no text into them unasked."""
    for name in render.bl_rna.properties.keys():
        if name.startswith("use_stamp_") and not render.use_stamp:
            setattr(render, name, False)
    render.use_stamp_filename = False
    render.use_stamp_hostname = False


def longer_side(resolution: tuple[int, int], side: int) -> tuple[int, int]:
    """The resolution of the same shape whose longer side has `side` pixels."""
    width, height = resolution
    longest = max(width, height)
    return max(4, round(width * side / longest)), max(4, round(height * side / longest))
