"""The `signboard` command."""

import argparse
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.table import Table

from configs import profile_names
from serve import local
from serve.demo import DemoFailed, Shot, Tour

console = Console()


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    command = argparse.ArgumentParser(prog="signboard", description=__doc__)
    actions = command.add_subparsers(dest="action", required=True)

    serve = actions.add_parser("serve", help="run the application on this machine")
    serve.add_argument(
        "--profile",
        default="embedded",
        help=f"{', '.join(profile_names())}, or a YAML file of your own (default: embedded)",
    )
    serve.add_argument("--port", type=int, default=8000, help="of the loopback address")

    demo = actions.add_parser("demo", help="draw three pictures and an advert, then stop")
    demo.add_argument("--out", type=Path, default=Path("out"), help="folder to write them into")

    strength = actions.add_parser("strength", help="redraw a photo at every tenth of strength")
    strength.add_argument("photo", type=Path, help="PNG, JPEG, WebP or AVIF")
    strength.add_argument("--out", type=Path, default=Path("strip.png"), help="picture to write")
    strength.add_argument("--prompt", help="what to draw (default: something for the demo's model)")
    strength.add_argument("--profile", default="embedded", help="as for serve")
    return command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 if all went well."""
    options = parser().parse_args(arguments)
    try:
        if options.action == "demo":
            return demo(options.out)
        if options.action == "strength":
            return strength(options.photo, options.out, options.prompt, options.profile)
        return serve(options.profile, options.port)
    except (local.StartFailed, DemoFailed) as error:
        console.print(f"[bold red]signboard:[/] {error}", highlight=False)
        return 1
    except KeyboardInterrupt:
        return 130


def serve(profile: str, port: int) -> int:
    """Run the application until Ctrl-C or SIGTERM."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job has none
    if Path(profile).is_file():
        profile = str(Path(profile).resolve())
    with started(profile, port, dashboard=True) as running:
        console.print(addresses(running))
        console.print("Ctrl-C stops it.")
        with suppress(KeyboardInterrupt):
            threading.Event().wait()
    console.print("Stopped.")
    return 0


def demo(folder: Path) -> int:
    """The tour, on an application of its own."""
    with started("embedded", local.free_port()) as running:
        with console.status("drawing") as status:

            def told(shot: Shot) -> None:
                console.print(f"  wrote {shot.path}", highlight=False)
                for warning in shot.warnings:
                    console.print(f"    {warning}", highlight=False)
                status.update("drawing the next")

            tour = Tour(running.url, folder, told)
            shots = tour.run()
        console.print(summary(shots, **tour.weights()))
    return 0


def strength(photo: Path, out: Path, prompt: str | None, profile: str) -> int:
    """Draw the strip, and print what each strength runs, in Markdown."""
    from serve import strength as strips  # loads the model's libraries, which take seconds
    from serve.settings import load_profile

    try:
        with console.status("drawing"):
            strip = strips.draw_strip(load_profile(profile), photo, prompt or strips.PROMPT)
            strip.sheet.save(out, quality=85)
    except (strips.StrengthFailed, ValueError, OSError) as error:
        console.print(f"[bold red]signboard:[/] {error}", highlight=False)
        return 1
    console.print(strip.table, highlight=False)
    console.print(f"wrote {out}", highlight=False)
    return 0


@contextmanager
def started(profile: str, port: int, *, dashboard: bool = False) -> Iterator[local.Running]:
    """The application, with its progress shown while it starts and stops."""
    with (
        console.status("starting") as status,
        local.application(
            profile, port, lambda state: show(status, state), dashboard=dashboard
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


if __name__ == "__main__":
    sys.exit(main())
