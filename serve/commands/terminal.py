"""What people see: a start's progress, where the application is reached, what the demo took."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.table import Table

from serve.commands import local
from serve.commands.demo import Shot

console = Console()


def failed(error: Exception) -> int:
    """Say why the command cannot go on."""
    console.print(f"[bold red]signboard:[/] {error}", highlight=False)
    return 1


@contextmanager
def started(
    profile: str,
    port: int,
    library: str | None = None,
    styles: str | None = None,
    *,
    dashboard: bool = False,
) -> Iterator[local.Running]:
    """The application, with its progress shown while it starts and stops."""
    with (
        console.status("starting") as status,
        local.application(
            profile,
            port,
            lambda state: show(status, state),
            dashboard=dashboard,
            library=library,
            styles=styles,
        ) as running,
    ):
        status.stop()
        try:
            yield running
        finally:
            status.update("stopping")
            status.start()


def show(status: Status, state: str) -> None:
    """Say what is waited for; once a state, also where there is no terminal."""
    if status.status != state:
        status.update(state)
        if not console.is_terminal:
            console.print(f"{state} ...")


def addresses(running: local.Running) -> Table:
    """Where the application is reached."""
    table = Table(show_header=False, box=None)
    table.add_row("API", f"{running.url}/v1")
    table.add_row("Docs", f"{running.url}/docs")
    table.add_row("Dashboard", f"{running.dashboard} (token {running.token})")
    table.add_row("Logs", str(running.logs))
    return table


def summary(shots: Sequence[Shot], held_bytes: int, held_twice_bytes: int) -> Table:
    """What each picture took, stage by stage, and what the one set of weights weighs."""
    table = Table(
        title="One set of weights, every kind of picture",
        caption=(
            f"weights held: {held_bytes:,} bytes; "
            f"held twice: {held_twice_bytes:,} bytes ({share(held_twice_bytes, held_bytes)})"
        ),
    )
    table.add_column("")
    for shot in shots:
        table.add_column(shot.kind, justify="right")
    answers = [shot.answer for shot in shots]
    table.add_row("size", *(answer["size"] for answer in answers))
    table.add_row("steps executed", *(str(answer["steps_executed"]) for answer in answers))
    for stage in dict.fromkeys(stage for answer in answers for stage in answer["timings_ms"]):
        table.add_row(f"{stage}, ms", *(milliseconds(answer, stage) for answer in answers))
    return table


def milliseconds(answer: Mapping[str, Any], stage: str) -> str:
    """How long a stage took, as the table shows it."""
    timings = answer["timings_ms"]
    return f"{timings[stage]:.0f}" if stage in timings else "-"


def share(part: int, whole: int) -> str:
    """`part` of `whole` in per cent, "none" for nothing."""
    return f"{100 * part / whole:.2f} %" if part else "none"
