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
        "login": ("login", "Work through a server from now on."),
        "logout": ("login", "Forget the server and its token."),
        "version": ("version", "Show the version of renderctl."),
    },
    "Jobs": {
        "submit": ("submit", "Queue a scene or a model for the workers of the farm."),
        "jobs": ("jobs", "List and remove jobs."),
        "status": ("jobs", "Say where a job stands, and why it waits."),
        "watch": ("jobs", "Follow a job until it ends."),
        "logs": ("logs", "Show what Blender printed."),
        "download": ("download", "Fetch a job's images."),
        "cancel": ("control", "Stop a job; finished frames are kept."),
        "pause": ("control", "Let running frames finish and start no more."),
        "resume": ("control", "Go on with a paused job."),
        "retry": ("control", "Render again what failed, or the given frames."),
        "priority": ("control", "Change a job's priority."),
    },
    "Models": {
        "upload": ("upload", "Upload a scene and all that it depends on."),
        "models": ("models", "List, show and remove models."),
    },
    "The farm": {
        "worker": ("worker", "Work for the farm: take turns, render, publish."),
        "workers": ("workers", "List, drain and resume workers."),
        "serve": ("serve", "Serve the farm over HTTP: an API, and pages for a browser."),
        "sweep": ("sweep", "Repair now what crashed."),
        "gc": ("gc", "Free the store of what nothing points to."),
        "webhooks": ("webhooks", "Have receivers told what happens, signed and retried."),
        "database": ("database", "Upgrade the database."),
    },
    "People": {
        "users": ("users", "List, add, invite and disable users."),
        "projects": ("projects", "List projects, and say who is in them."),
        "tokens": ("tokens", "List, make and revoke tokens."),
        "sessions": ("sessions", "List and end log-ins from browsers."),
        "whoami": ("whoami", "Say who you are to the farm."),
        "quota": ("quota", "Say what you use of the farm, and may use."),
        "audit": ("audit", "Show who did what, and verify that log."),
    },
}
COMMANDS: Mapping[str, tuple[str, str]] = {
    name: command for commands in GROUPS.values() for name, command in commands.items()
}
#: What every command takes, in front of its name or after it.
OPTIONS: Mapping[str, str] = {
    "--json": "One JSON document on stdout, for an error too.",
    "-q, --quiet": "No progress and no notes.",
    "--debug": "Tracebacks and all logs.",
    "--config FILE": "Another config file.",
    "--version": "Show the version.",
    "-h, --help": "Show this, or the help of a command.",
}
