"""Models: inspect a scene, upload its files, register it."""
