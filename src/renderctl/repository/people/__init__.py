"""Users, projects, credentials, invitations, second factors and quotas."""
