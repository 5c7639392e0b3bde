"""Users, projects, tokens, log-ins and invitations: one noun a file."""
