"""What a terminal shows: results, tables, progress, and waiting for a job."""
