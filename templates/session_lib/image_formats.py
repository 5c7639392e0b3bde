"""Image formats and output settings, for all versions of Blender."""

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


def set_output_format(scene: Any, requested: str | None, notes: list[str]) -> str:
    """Set the scene's output format (None keeps its own) and return the file extension.

    Movies, which have no separate frames, and formats that cannot be verified become PNG, with a note.
    """
    current = scene.render.image_settings.file_format
    if requested is None and current not in EXTENSIONS:
        described = "a movie" if current in MOVIES else current
        notes.append(f"The scene writes {described}; its frames are rendered as PNG.")
        requested = "PNG"
    if requested is not None:
        set_format(scene.render.image_settings, requested)
    return EXTENSIONS[requested or current]


def set_format(settings: Any, name: str) -> None:
    """Set the file format; 5.0 and later need the media type first, and color modes depend on the format."""
    mode = settings.color_mode
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE" if name == "OPEN_EXR_MULTILAYER" else "IMAGE"
    settings.file_format = name
    try:
        settings.color_mode = mode
    except TypeError:  # JPEG has no RGBA
        settings.color_mode = "RGB"


def size(render: Any) -> tuple[int, int]:
    """Return width and height of the written image, in pixels."""
    width, height = (
        max(1, pixels * render.resolution_percentage // 100) for pixels in (render.resolution_x, render.resolution_y)
    )
    if render.use_border and render.use_crop_to_border:
        width = int(render.border_max_x * width) - int(render.border_min_x * width)
        height = int(render.border_max_y * height) - int(render.border_min_y * height)
    return width, height


def disable_stamps(render: Any) -> None:
    """Turn off metadata such as paths, host names and times, and stamps unless the scene burns them in."""
    for name in render.bl_rna.properties.keys():
        if name.startswith("use_stamp_") and not render.use_stamp:
            setattr(render, name, False)
    render.use_stamp_filename = False
    render.use_stamp_hostname = False


def longer_side(resolution: tuple[int, int], side: int) -> tuple[int, int]:
    """Scale a resolution so that its longer side has `side` pixels."""
    width, height = resolution
    longest = max(width, height)
    return max(4, round(width * side / longest)), max(4, round(height * side / longest))
