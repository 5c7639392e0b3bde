"""What strangers try, by who they are; each was possible once."""
