"""What keeps a farm running: audit, garbage collection, repair, metrics, images, set-up."""
