"""Attempts: claimed, completed, failed, released; and the quarantine of workers."""
