"""What commands there are, told without importing any of them."""

from collections.abc import Mapping

#: Command -> the module below `renderctl.cli.commands` that has it, and what the list of commands says about it.
GROUPS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "On this machine": {
        "render": ("render", "Render a scene here, from the file to the images."),
        "images": ("images", "List, build, pull and remove render images."),
        "doctor": ("doctor", "Check every configured part."),
        "init": ("init", "Write a config file."),
        "trust": ("trust", "Approve the renderctl.yaml of a folder."),
        "login": ("login", "Use a server from now on."),
        "logout": ("login", "Forget the server and its token."),
        "version": ("version", "Show the version of renderctl."),
    },
    "Jobs": {
        "submit": ("submit", "Queue a scene or a model for the workers of the farm."),
        "jobs": ("jobs", "List and remove jobs."),
        "status": ("jobs", "Show a job's progress, and why it waits."),
        "watch": ("jobs", "Follow a job until it ends."),
        "logs": ("logs", "Show what Blender printed."),
        "download": ("download", "Fetch a job's images."),
        "cancel": ("control", "Stop a job; finished frames are kept."),
        "pause": ("control", "Let running frames finish and start no more."),
        "resume": ("control", "Continue a paused job."),
        "retry": ("control", "Render again what failed, or the given frames."),
        "priority": ("control", "Change a job's priority."),
    },
    "Models": {
        "upload": ("upload", "Upload a scene and its dependencies."),
        "models": ("models", "List, show and remove models."),
    },
    "The farm": {
        "worker": ("worker", "Work for the farm: claim frames, render, publish."),
        "workers": ("workers", "List, drain and resume workers."),
        "serve": ("serve", "Serve the farm over HTTP: an API, and pages for a browser."),
        "sweep": ("sweep", "Repair what crashed, now."),
        "gc": ("gc", "Delete unreferenced files from the store."),
        "webhooks": ("webhooks", "Notify receivers of events, signed and retried."),
        "database": ("database", "Upgrade the database."),
    },
    "People": {
        "users": ("users", "List, add, invite and disable users."),
        "projects": ("projects", "List projects, and manage their members."),
        "tokens": ("tokens", "List, create and revoke tokens."),
        "sessions": ("sessions", "List and end browser sessions."),
        "whoami": ("whoami", "Show who you are on the farm."),
        "quota": ("quota", "Show your use of the farm, and its limits."),
        "audit": ("audit", "Show and verify the audit log."),
    },
}
COMMANDS: Mapping[str, tuple[str, str]] = {
    name: command for commands in GROUPS.values() for name, command in commands.items()
}
#: What every command takes, in front of its name or after it.
OPTIONS: Mapping[str, str] = {
    "--json": "Print one JSON document, also for an error.",
    "-q, --quiet": "Print no progress and no notes.",
    "--debug": "Print tracebacks and all logs.",
    "--config FILE": "Use this config file.",
    "--version": "Show the version.",
    "-h, --help": "Show this, or the help of a command.",
}
