"""Jobs: submit, control, watch, logs, outputs, download, remove."""
