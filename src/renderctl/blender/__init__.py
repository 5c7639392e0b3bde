"""Blender: finding installations, generating scripts, and the protocol of sessions."""
