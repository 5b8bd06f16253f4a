"""The `signboard` command."""

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from configs import profile_names
from deployments.diffusion.sizes import parse_bytes
from serve.commands.demo import DemoFailed, Shot, Tour
from serve.commands.local import StartFailed
from serve.commands.loopback import free_port
from serve.commands.terminal import addresses, console, failed, show, started, summary
from serve.profiles import load_profile


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
    serve.add_argument(
        "--library",
        help="folder or URL where pictures are kept (default: only until it stops)",
    )
    serve.add_argument(
        "--styles",
        type=Path,
        help="folder where added styles are kept (default: only until it stops)",
    )

    models = actions.add_parser("models", help="the models' files on this machine")
    pull = models.add_subparsers(dest="models_action", required=True).add_parser(
        "pull", help="fetch a profile's model from the hub, in the dtype that it runs in"
    )
    pull.add_argument("--profile", default="z-image-turbo-24gb", help="as of serve")
    pull.add_argument("--into", type=Path, help="a folder (default: one that serve finds)")

    styles = actions.add_parser("styles", help="the styles of a running application")
    doings = styles.add_subparsers(dest="styles_action", required=True)
    add = doings.add_parser("add", help="add a LoRA file as a style, for all who draw from now on")
    add.add_argument("name", help="by which requests ask for it")
    add.add_argument("file", type=Path, help="safetensors; peft's adapter_config.json beside it")
    add.add_argument("--licence", required=True, help="of the file, CC-BY-4.0 for example")
    add.add_argument("--description", required=True, help="what pictures look like in it")
    add.add_argument("--weight", help="how strongly it acts (default: 1, as it was trained)")
    add.add_argument("--trigger", help="words that it was trained with")
    add.add_argument(
        "--there", action="store_true", help="the file lies in the server's folder of added styles"
    )
    remove = doings.add_parser("remove", help="remove a style that was added")
    remove.add_argument("name")
    for doing in (doings.add_parser("list", help="show all of them"), add, remove):
        doing.add_argument("--url", default="http://127.0.0.1:8000", help="of the server")

    demo = actions.add_parser("demo", help="draw three pictures and an advert, then stop")
    demo.add_argument("--out", type=Path, default=Path("out"), help="folder to write them into")

    plan = actions.add_parser("plan", help="show what of a model fits in how much memory")
    plan.add_argument(
        "--profile",
        default="embedded",
        help=f"{', '.join(profile_names())}, or a YAML file of your own (default: embedded)",
    )
    plan.add_argument(
        "--budget",
        type=budget,
        action="append",
        help="device memory, 22GiB for example; more than once for several",
    )
    inspect = actions.add_parser("inspect", help="show what a picture's file says of its making")
    inspect.add_argument("file", type=Path, help="PNG, JPEG, WebP or AVIF")
    inspect.add_argument("--json", action="store_true", help="as the server's route answers")
    inspect.add_argument(
        "--repeat", action="store_true", help="have a server make it again, and compare"
    )
    inspect.add_argument("--url", default="http://127.0.0.1:8000", help="of the server")
    inspect.add_argument("--out", type=Path, help="file to write (default: FILE-repeated)")

    strength = actions.add_parser("strength", help="redraw a photo at every tenth of strength")
    strength.add_argument("photo", type=Path, help="PNG, JPEG, WebP or AVIF")
    strength.add_argument("--out", type=Path, default=Path("strip.png"), help="picture to write")
    strength.add_argument("--prompt", help="what to draw (default: something for the demo's model)")
    strength.add_argument("--profile", default="embedded", help="as for serve")
    gallery = actions.add_parser("gallery", help="show every template in five languages")
    gallery.add_argument(
        "--out", type=Path, default=Path("gallery"), help="folder of pictures, the page beside it"
    )

    bench = actions.add_parser("bench", help="measure, and write docs/benchmarks.md from it")
    bench.add_argument("names", nargs="*", metavar="name", help="of a benchmark (default: all)")
    bench.add_argument(
        "--quick",
        action="store_true",
        help="see that the benchmarks run; their numbers mean nothing",
    )
    bench.add_argument(
        "--out",
        type=Path,
        help="folder to write into (default: this one; for --quick one that is thrown away)",
    )
    return command


def budget(size: str) -> int:
    """A budget in bytes, as argparse takes it."""
    try:
        return parse_bytes(size)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 if all went well. SIGTERM ends it as Ctrl-C does."""
    options = parser().parse_args(arguments)
    for stops in (signal.SIGINT, signal.SIGTERM):  # a shell's background job has no SIGINT
        signal.signal(stops, signal.default_int_handler)
    try:
        if options.action == "demo":
            return demo(options.out)
        if options.action == "plan":
            return plan(options.profile, options.budget)
        if options.action == "models":
            return pull_model(options.profile, options.into)
        if options.action == "inspect":
            return inspect(options)
        if options.action == "styles":
            return styles(options)
        if options.action == "strength":
            return strength(options.photo, options.out, options.prompt, options.profile)
        if options.action == "gallery":
            return gallery(options.out)
        if options.action == "bench":
            return bench(options.names, options.quick, options.out)
        return serve(options.profile, options.port, options.library, options.styles)
    except (StartFailed, DemoFailed) as error:
        return failed(error)
    except KeyboardInterrupt:
        return 130


def plan(profile: str, budgets: Sequence[int] | None) -> int:
    """Print what fits where, from the profile and the model's config alone."""
    from serve.commands.plan import BUDGETS, PlanFailed, tables  # brings torch, which takes seconds

    try:
        for table in tables(profile, budgets or BUDGETS):
            console.print(table)
    except PlanFailed as error:
        return failed(error)
    return 0


def serve(profile: str, port: int, library: str | None = None, styles: Path | None = None) -> int:
    """Run the application until Ctrl-C or SIGTERM, which stop it while it starts, too."""
    if Path(profile).is_file():
        profile = str(Path(profile).resolve())
    if library is not None and "://" not in library:
        library = str(Path(library).expanduser().resolve())
    folder = None if styles is None else str(styles.expanduser().resolve())
    with (
        suppress(KeyboardInterrupt),
        started(profile, port, library, folder, dashboard=True) as running,
    ):
        console.print(addresses(running))
        console.print("Ctrl-C stops it.")
        threading.Event().wait()
    console.print("Stopped.")
    return 0


def demo(folder: Path) -> int:
    """The tour, on an application of its own."""
    with started("embedded", free_port()) as running:
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


def pull_model(profile: str, into: Path | None) -> int:
    """Fetch a profile's model."""
    from deployments.diffusion.weights import checkpoint, default_folder  # torch: only for this

    source = load_profile(profile).model
    folder = into or default_folder(source)
    try:
        checkpoint.pull(source, folder, lambda said: console.print(said, highlight=False))
    except checkpoint.PullFailed as error:
        return failed(error)
    console.print(f"{source.source} is in {folder}", highlight=False)
    if into:
        console.print(f"serve it from a profile with model.source: {folder.resolve()}")
    return 0


def styles(options: argparse.Namespace) -> int:
    """Show a running application's styles, or change them."""
    from serve.commands import styles as running  # brings the HTTP client

    try:
        if options.styles_action == "list":
            console.print(running.table(running.listed(options.url)))
        elif options.styles_action == "remove":
            running.remove(options.url, options.name)
            console.print(f"removed {options.name}")
        else:
            fields = {
                name: getattr(options, name)
                for name in ("name", "licence", "description", "weight", "trigger")
                if getattr(options, name) is not None
            }
            added = running.add(options.url, fields, options.file, there=options.there)
            console.print(f"added {added['id']}: {added['bytes']:,} bytes", highlight=False)
    except running.StylesFailed as error:
        return failed(error)
    return 0


def strength(photo: Path, out: Path, prompt: str | None, profile: str) -> int:
    """Draw the strip, and print what each strength runs, in Markdown."""
    from serve.commands import strength as strips  # loads the model's libraries, which take seconds

    try:
        with console.status("drawing"):
            strip = strips.draw_strip(load_profile(profile), photo, prompt or strips.PROMPT)
            strip.sheet.save(out, quality=85)
    except (strips.StrengthFailed, ValueError, OSError) as error:
        return failed(error)
    console.print(strip.table, highlight=False)
    console.print(f"wrote {out}", highlight=False)
    return 0


def gallery(out: Path) -> int:
    """Make the gallery, saying what each advert's lowest contrast is."""
    from serve.commands import gallery as shows  # loads the model's libraries, which take seconds

    try:
        with console.status("drawing"):
            for one in shows.make(out):
                said = "".join(f"\n    {warning}" for warning in one.warnings)
                console.print(f"  {one.entry.file}: {one.contrast:.2f}{said}", highlight=False)
    except (shows.GalleryFailed, ValueError, OSError) as error:
        return failed(error)
    return 0


def bench(names: Sequence[str], quick: bool, out: Path | None) -> int:
    """Run benchmarks, and make the page anew from all results in the folder."""
    from serve.commands import bench as benches  # brings torch, which takes seconds

    try:
        with console.status("starting") as status, benches.folder(out, quick) as into:
            for result in benches.run(names, quick, into, partial(show, status)):
                console.print(benches.table(result))
            console.print(f"wrote {benches.write_page(into)}", highlight=False)
    except benches.BenchFailed as error:
        return failed(error)
    return 0


def inspect(options: argparse.Namespace) -> int:
    """Show what a file says; repeat it, if that is asked for."""
    from serve.commands import inspect as inspection  # brings the picture libraries

    path: Path = options.file
    try:
        if not options.repeat:
            answer = inspection.read(path)
            if options.json:
                print(answer.model_dump_json(indent=2))
            else:
                console.print(inspection.table(answer))
            return 0
        made, told = inspection.repeat(inspection.ask(path, options.url), options.url)
    except inspection.InspectionFailed as error:
        return failed(error)
    out = options.out or path.with_stem(f"{path.stem}-repeated")
    out.write_bytes(made)
    equal = inspection.same_pixels(path.read_bytes(), made)
    how = "kept from before" if told["cached"] else f"{told['steps_executed']} steps"
    console.print(f"wrote {out} ({how}): {'the same pixels' if equal else 'other pixels'}")
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
