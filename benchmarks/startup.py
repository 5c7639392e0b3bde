"""How long the command line takes to say anything, beside a bare script that imports typer and rich."""

from benchmarks.farms import given_farm, given_job, given_model
from benchmarks.timing import PYTHON, empty_folder, in_turn

_BARE = "import rich.console, rich.progress, rich.table, typer"


def main() -> None:
    with empty_folder() as folder:
        environment = {"RENDERCTL_DATA_DIR": str(folder), "RENDERCTL_CONFIG": ""}
        farm = given_farm(folder)
        job_id = given_job(farm, given_model(farm), "1-240").id
        ctl = [PYTHON, "-m", "renderctl"]
        taken = in_turn(
            {
                "python": [PYTHON, "-c", ""],
                "typer and rich": [PYTHON, "-c", _BARE],
                "--help": [*ctl, "--help"],
                "status, asked": [*ctl, "status", job_id],  # the database: the copy is older than two seconds
                "status": [*ctl, "status", job_id],  # the copy that the one before has left
                "jobs": [*ctl, "jobs"],
            },
            runs=9,
            environment=environment,
        )
    print("start-up of whole processes")
    for name, timing in taken.items():
        print(f"  {name:14} {timing}")
    print(f"  --help / bare script: {taken['--help'].median / taken['typer and rich'].median:.2f} (aim 1.3)")
    print(f"  status: {taken['status'].median:.2f} s (aim 0.5)")
