"""Attacks by a client with a token."""
