"""Attacks by whoever reaches the server, without a token."""
