"""Blender: finding it, the scripts that it runs, and speaking with a session of it."""
