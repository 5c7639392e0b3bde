"""`renderctl worker` and `workers`."""

import logging
from typing import Annotated

import typer

from renderctl.cli.context import connect
from renderctl.cli.logging import log_to_stderr
from renderctl.cli.params import non_empty, seconds
from renderctl.cli.signals import on_first_and_second_signal, pausable
from renderctl.cli.ui import console, farm_tables
from renderctl.farm.worker import WorkOptions
from renderctl.farm.worker.slot_parts import Listeners

logger = logging.getLogger(__name__)
app = typer.Typer(add_completion=False)
workers = typer.Typer(
    add_completion=False, name="workers", help="List, drain and resume workers.", invoke_without_command=True
)
app.add_typer(workers)
Worker = Annotated[str, typer.Argument(help="A worker's id, or a unique beginning of it.", show_default=False)]


@app.command()
def worker(
    name: Annotated[
        str | None,
        typer.Option(
            "--name", metavar="NAME", parser=non_empty, help="The worker's stable id; default: the node's own."
        ),
    ] = None,
    slots: Annotated[int | None, typer.Option("--slots", metavar="N", help="Frames at a time.", min=1)] = None,
    pool: Annotated[
        list[str] | None,
        typer.Option("--pool", metavar="NAME", parser=non_empty, help="A pool whose jobs it renders (repeatable)."),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(
            "--tag", metavar="TAG", parser=non_empty, help="A tag that jobs can require with --require (repeatable)."
        ),
    ] = None,
    allow_scripts: Annotated[
        bool | None,
        typer.Option(
            "--allow-scripts/--no-allow-scripts",
            help="Run scripts of scenes that were submitted with --trust-scripts.",
            show_default=False,
        ),
    ] = None,
    drain_timeout: Annotated[
        float | None,
        typer.Option(
            "--drain-timeout",
            metavar="SECONDS",
            parser=seconds,
            help="When stopping, give up frames that take longer.",
        ),
    ] = None,
    exit_when_idle: Annotated[
        float | None,
        typer.Option("--exit-when-idle", metavar="SECONDS", parser=seconds, help="Exit after this time without work."),
    ] = None,
) -> None:
    """Work for the farm. SIGTERM or Ctrl-C: finish running frames and exit; a second one: exit at once.

    SIGUSR1: finish running frames and take no more, as `workers drain` does. SIGUSR2: resume, as `workers resume` does.
    """
    log_to_stderr()
    options = WorkOptions(
        name,
        slots,
        tuple(pool) if pool else None,
        tuple(tag) if tag else None,
        allow_scripts,
        idle_exit_s=exit_when_idle,
        drain_timeout_s=drain_timeout,
        listeners=_listeners(),
    )
    working = connect().worker_for(options)
    with on_first_and_second_signal(working.drain, working.abort), pausable(working.hold, working.resume):
        working.run()


def _listeners() -> Listeners:
    """What a node's log tells of each frame; failures are in it already."""
    return Listeners(
        on_session=lambda job, ready: logger.info("job %s (%s): %s", job.id, job.name, ready.described),
        on_published=lambda done: logger.info(
            "job %s frame %d: %.2f s", done.attempt.job_id, done.attempt.frame, done.seconds
        ),
    )


@workers.callback()
def all_workers(context: typer.Context) -> None:
    """List, drain and resume workers."""
    if context.invoked_subcommand is None:
        console.show(connect().list_workers(), farm_tables.workers)


@workers.command("list")
def list_workers(
    every: Annotated[bool, typer.Option("--all", help="Include workers that are gone.")] = False,
) -> None:
    """List workers: their state, what they offer, what they work on."""
    console.show(connect().list_workers(all_of_them=every), farm_tables.workers)


@workers.command()
def drain(worker: Worker) -> None:
    """Let a worker finish its frames and take no more until it is resumed; it keeps running."""
    console.show(connect().drain_worker(worker), lambda drained: f"{drained.id} is {drained.state}.")


@workers.command()
def resume(worker: Worker) -> None:
    """Let a drained or quarantined worker take work again, with a clean record."""
    console.show(connect().resume_worker(worker), lambda resumed: f"{resumed.id} is {resumed.state}.")
