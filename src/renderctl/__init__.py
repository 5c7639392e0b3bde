"""renderctl: a render farm controller for Blender."""

__version__ = "0.2.0"
