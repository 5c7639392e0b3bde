"""The domain model: jobs, models, workers, people, and the rules that need no service."""
