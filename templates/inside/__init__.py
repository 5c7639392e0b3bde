"""What runs inside Blender: the parts that the scripts of a session are put together from.

It runs under every Blender from 4.2 on, with the Python that comes with it, and imports nothing of renderctl.
"""
