"""The commands: one file for each group, imported when a command of it is called."""
