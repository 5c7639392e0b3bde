"""The library of a session's scripts: everything that runs in Blender's own process.

It works in every Blender from 4.2 on, with Blender's Python, and imports nothing of renderctl.
"""
