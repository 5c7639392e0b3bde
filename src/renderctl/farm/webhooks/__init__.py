"""Webhooks: set by people, told by whoever holds the lease."""
