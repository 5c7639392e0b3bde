"""The core: what a job, a model, a worker and a user are, and the rules that need no service."""
