"""Commands and flags. Typer owns the flags, Hydra the KEY=VALUEs; nothing heavy is imported here."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from thinkus import __version__
from thinkus.completion import complete_word
from thinkus.errors import ThinkusError
from thinkus.help import describe_keys

STAGES = {
    "prepare": "Turn a corpus into clean, split, traceable records.",
    "annotate": "Reconstruct scenario, motivation and thoughts of each conversation.",
    "sft": "Train a model to play the person, thought first.",
    "simulate": "Let the simulated user speak, in replayed or live conversations.",
    "judge": "Measure how close it comes to the real person.",
    "report": "Read finished runs and print tables.",
}
USER_ERROR = 2
INTERRUPTED = 130

app = typer.Typer(
    name="thinkus",
    help="Reconstruct what people think in conversations with assistants, train models that play them, and "
    "measure how close they come.\n\n"
    "prepare -> annotate -> sft -> simulate -> judge, and report, which only reads.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]", help="What differs from conf/.", autocompletion=complete_word),
]
Multirun = Annotated[bool, typer.Option("-m", "--multirun", help="Sweep: every combination of a=1,2 b=x,y.")]
Show = Annotated[bool, typer.Option("--show", help="Print the composed config and stop.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done and stop.")]
Redo = Annotated[bool, typer.Option("--redo", help="Derive a run again that is there already.")]


def _add_stage(stage: str, summary: str) -> None:
    def command(
        words: Words = None,
        multirun: Multirun = False,
        show: Show = False,
        dry_run: DryRun = False,
        redo: Redo = False,
    ) -> None:
        from thinkus import launch

        if show:
            launch.show(stage, words or [], sweep=multirun)
        elif dry_run:
            launch.dry_run(stage, words or [], sweep=multirun)
        else:
            launch.start(stage, words or [], sweep=multirun, redo=redo)

    app.command(stage, help=summary, epilog=describe_keys(stage))(command)


for _stage, _summary in STAGES.items():
    _add_stage(_stage, _summary)


@app.command()
def runs(root: Annotated[str, typer.Argument(metavar="[root=DIR]")] = "root=outputs") -> None:
    """Show every run: stage, name, status, items, cost, age."""
    from thinkus.run_table import print_runs

    print_runs(root.removeprefix("root="))


@app.command()
def doctor() -> None:
    """Show what this machine has, and the line that gets what is missing."""
    from thinkus.doctor import examine

    examine()


@app.callback(invoke_without_command=True)
def _thinkus(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script: a mistake of the user's is one line and exit 2, ours a traceback."""
    try:
        app(args=arguments)
    except ThinkusError as error:
        print(error, file=sys.stderr)
        sys.exit(USER_ERROR)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        sys.exit(INTERRUPTED)
