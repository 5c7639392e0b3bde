"""Blobs: which are known and needed, leases on them, and their garbage collection."""
