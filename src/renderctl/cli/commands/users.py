"""`renderctl users`."""

from typing import Annotated

import typer

from renderctl.cli import prompts
from renderctl.cli.commands import totp
from renderctl.cli.context import connect
from renderctl.cli.params import hours, non_empty
from renderctl.cli.ui import console, people_tables
from renderctl.core.actors import Role, Via

app = typer.Typer(
    add_completion=False,
    name="users",
    help="List, add, invite and disable users.",
    invoke_without_command=True,
)
app.add_typer(totp.app)
User = Annotated[str, typer.Argument(help="A user's name.", show_default=False)]
Projects = Annotated[
    list[str] | None,
    typer.Option("--project", metavar="NAME", parser=non_empty, help="A project that they are in (repeatable)."),
]
AsRole = Annotated[Role, typer.Option("--role", help="What they may do: see docs/reference/permissions.md.")]


@app.callback()
def users(context: typer.Context) -> None:
    """List, add, invite and disable users."""
    if context.invoked_subcommand is None:
        console.show(connect().list_users(), people_tables.users)


@app.command("list")
def list_users() -> None:
    """List users: their roles and projects."""
    console.show(connect().list_users(), people_tables.users)


@app.command()
def add(
    name: User,
    role: AsRole = Role.ARTIST,
    project: Projects = None,
    password: Annotated[
        bool,
        typer.Option("--password", help="Set a password, from a prompt or standard input."),
    ] = False,
) -> None:
    """Add a user; to the project `default` unless you name others."""
    chosen = prompts.new_password(name) if password else None
    added = connect().add_user(name, role, projects=tuple(project or ()), password=chosen)
    console.show(added, people_tables.user)


@app.command()
def invite(
    role: AsRole = Role.ARTIST,
    project: Projects = None,
    expires: Annotated[
        float, typer.Option("--expires", metavar="HOURS", parser=hours, help="How long it is valid.")
    ] = 168.0,
) -> None:
    """Print a code with which one person registers."""
    console.show(connect().invite(role, projects=tuple(project or ()), lasts_s=expires * 3600), people_tables.invited)


@app.command()
def invitations() -> None:
    """List open invitations; their codes are not shown again."""
    console.show(connect().list_invitations(), people_tables.invitations)


@app.command()
def withdraw(
    invitation: Annotated[str, typer.Argument(help="An invitation's id: see `users invitations`.", show_default=False)],
) -> None:
    """Withdraw an invitation: its code is no longer valid."""
    text = "Invitation {0.id} ({0.role}, by {0.created_by}) is withdrawn."
    console.show(connect().withdraw_invitation(invitation), text.format)


@app.command("role")
def set_role(name: User, role: Annotated[Role, typer.Argument(show_default=False)]) -> None:
    """Change a user's role; it takes effect at once."""
    console.show(connect().set_role(name, role), people_tables.user)


@app.command()
def disable(name: User) -> None:
    """Disable a user's password and tokens; jobs and models stay."""
    console.show(connect().disable_user(name), people_tables.user)


@app.command()
def enable(name: User) -> None:
    """Enable a disabled user."""
    console.show(connect().enable_user(name), people_tables.user)


@app.command()
def password(name: User) -> None:
    """Set a password: prompted for on a terminal, else read from the first line of standard input.

    Through a server, your own takes the old one first.
    """
    connection = connect()
    who = connection.actor
    old = prompts.password("Old password") if who.name == name and who.via != Via.LOCAL else None
    console.show(connection.set_password(name, prompts.new_password(name), old=old), people_tables.user)
