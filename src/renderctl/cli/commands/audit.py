"""`renderctl audit`."""

import threading
from datetime import datetime
from typing import Annotated

import typer

from renderctl.cli.context import connect, current
from renderctl.cli.params import when
from renderctl.cli.ui import console, people_tables

app = typer.Typer(
    add_completion=False, name="audit", help="Show and verify the audit log.", invoke_without_command=True
)


@app.callback()
def audit(
    context: typer.Context,
    by: Annotated[str | None, typer.Option("--by", metavar="USER", help="Only actions of this user.")] = None,
    action: Annotated[
        str | None,
        typer.Option("--action", metavar="ACTION", help="Only this action, such as job.cancel, or all of a kind: job."),
    ] = None,
    job: Annotated[
        str | None,
        typer.Option("--job", metavar="JOB", help="Only actions on this job, by its id or a beginning of it."),
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            "--since",
            metavar="TIME",
            parser=when,
            help="Only after this time: 2026-05-01T14:30, or 2h ago.",
        ),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--until", metavar="TIME", parser=when, help="Only before this time.")
    ] = None,
    refused: Annotated[bool, typer.Option("--refused", help="Only refused actions.")] = False,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", help="Maximum number of entries, the latest.", min=1, max=1_000_000)
    ] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Follow new entries.")] = False,
) -> None:
    """Show who did what, when, from where and with which result, including refusals. With -f --json: one per line."""
    if context.invoked_subcommand is not None:
        return
    from renderctl.core.audit import AuditFilter

    connection = connect()
    entry_filter = AuditFilter(by=by, action=action, subject=job, since=since, until=until, refused=refused)
    if not follow:
        console.show(connection.audit(entry_filter, limit=limit), people_tables.audit_lines)
        return
    for entry in connection.follow_audit(entry_filter, stop=threading.Event()):
        if current.json:
            console.show_line(entry)
        else:
            console.show(entry, people_tables.audit_line)


@app.command()
def verify(
    seen: Annotated[
        str | None,
        typer.Option("--seen", metavar="SEQ:MAC", help="The end of the log as an earlier verify printed it."),
    ] = None,
) -> None:
    """Check for changed or missing entries, and a cut-off end. Exit code 1: something is wrong."""
    verdict = connect().verify_audit(seen)
    console.show(verdict, people_tables.audit_verdict)
    if verdict.weak:
        console.warn(
            f"{verdict.weak} of them are signed with a key that lies in the database: who can write there could have "
            "changed them. Set audit.key in the config of every machine."
        )
    if verdict.before:
        console.warn(
            "A farm whose log is older than its chain has such entries: look at them, and `renderctl audit adopt` "
            "signs them. In any other farm somebody wrote them past renderctl."
        )
    if verdict.problems:
        raise typer.Exit(1)


@app.command()
def adopt() -> None:
    """Sign the entries from before the log was chained, so that `verify` covers them. You vouch for them."""
    adopted: people_tables.AdoptedEntries = {"entries": connect().adopt_audit()}
    console.show(adopted, people_tables.adopted_entries)


@app.command("rotate-key")
def rotate_key() -> None:
    """Sign with a new key from now on, for example if others may know the old one. Old entries stay verifiable.

    For an embedded farm, whose key is in data_dir: the old ones are kept beside it. Where audit.key stands in the
    config, set a new one there, and put the old one first into audit.former.
    """
    console.show(connect().rotate_audit_key(), people_tables.rotated_key)
