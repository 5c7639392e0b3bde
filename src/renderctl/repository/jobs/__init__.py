"""Jobs and their tasks: stored, counted, controlled, summarized, deleted."""
