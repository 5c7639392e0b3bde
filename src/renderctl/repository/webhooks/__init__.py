"""Webhooks: registrations, the outbox, deliveries."""
