"""The audit log: written, read, verified."""
