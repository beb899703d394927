"""Commands and flags. Typer owns the flags, Hydra the KEY=VALUEs; nothing heavy is imported here."""

import inspect
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from thinkus import __version__, signals
from thinkus.completion import complete_word
from thinkus.errors import ThinkusError
from thinkus.files import of_the_machine
from thinkus.help import describe_keys

STAGES = {
    "prepare": "Turn a corpus into clean, split, traceable records.",
    "annotate": "Reconstruct scenario, motivation and thoughts.",
    "sft": "Train a model to play the person, thought first.",
    "simulate": "Let the user speak, in replayed or live conversations.",
    "judge": "Measure how close it comes to the real person.",
    "report": "Read finished runs and print tables.",
}
PREVIEWED = ("annotate", "sft", "simulate", "judge")
RATED = ("annotate", "judge")
"""By people."""
USER_ERROR = 2
# Typer keeps click to itself; this is the base of all its complaints about flags.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]
INTERRUPTED = 130

app = typer.Typer(
    name="thinkus",
    help="Reconstruct what people think in conversations with assistants, train models that play them, and "
    "measure how close they come.\n\n"
    "prepare -> annotate -> sft -> simulate -> judge, and report, which only reads.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE", help="What differs from the YAML files.", autocompletion=complete_word
    ),
]
Multirun = Annotated[bool, typer.Option("-m", "--multirun", help="Sweep: every combination of a=1,2 b=x,y.")]
Show = Annotated[bool, typer.Option("--show", help="Print the composed config and stop.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done and stop.")]
Redo = Annotated[bool, typer.Option("--redo", help="Derive a run again that is there already.")]


Preview = Annotated[
    int | None, typer.Option("--preview", metavar="N", min=1, help="Print the first N and stop.")
]
HumanSheet = Annotated[
    int | None, typer.Option("--human-sheet", metavar="N", min=1, help="Draw N results for people to rate.")
]


def _add_stage(stage: str, summary: str) -> None:
    def command(
        words: Words = None,
        multirun: Multirun = False,
        show: Show = False,
        dry_run: DryRun = False,
        redo: Redo = False,
        preview: Preview = None,
        human_sheet: HumanSheet = None,
    ) -> None:
        from thinkus import launch

        if show:
            launch.show(stage, words or [], sweep=multirun)
        elif dry_run:
            launch.dry_run(stage, words or [], sweep=multirun)
        elif preview:
            launch.preview(stage, words or [], preview, sweep=multirun)
        else:
            launch.start(stage, words or [], sweep=multirun, redo=redo, human_sheet=human_sheet or 0)

    stages = {"preview": PREVIEWED, "human_sheet": RATED}
    signature = inspect.signature(command)
    kept = [one for flag, one in signature.parameters.items() if stage in stages.get(flag, STAGES)]
    command.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
    app.command(stage, help=summary, epilog=describe_keys(stage))(command)


for _stage, _summary in STAGES.items():
    _add_stage(_stage, _summary)


@app.command()
def runs(root: Annotated[str, typer.Argument(metavar="[root=DIR]")] = "root=outputs") -> None:
    """Show every run with its status, items, cost and age."""
    from thinkus.run_table import print_runs

    print_runs(root.removeprefix("root="))


@app.command()
def doctor(
    file: Annotated[
        str | None,
        typer.Argument(metavar="[FILE]", help="Of thinkus commands, a line each; - reads them from a pipe."),
    ] = None,
) -> None:
    """Show what this machine has, and how to get the rest; or what the commands in FILE need and will take."""
    from thinkus.doctor import examine, examine_for

    examine() if file is None else examine_for(file)


@app.command(epilog=describe_keys("simulate"))
def chat(
    words: Words = None,
    thoughts: Annotated[bool, typer.Option("--thoughts", help="Show what they think.")] = False,
    save: Annotated[
        str | None, typer.Option("--save", metavar="FILE", help="Add the talk to this file, as a record.")
    ] = None,
) -> None:
    """Sit in the assistant's chair and talk with a simulated user; the keys are those of simulate."""
    from thinkus import launch

    launch.chat(words or [], shows_thoughts=thoughts, save=save)


share = typer.Typer(
    help="Pass on answers, so that others can replay a run; or annotations without the corpus.",
    no_args_is_help=True,
)
app.add_typer(share, name="share")
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="As STAGE/NAME, or by path.")]
RootArgument = Annotated[str, typer.Argument(metavar="[root=DIR]")]
FileArgument = Annotated[str, typer.Argument(metavar="FILE", help="A .parquet file.")]


@share.command()
def pack(
    run: RunArgument,
    file: FileArgument,
    root: RootArgument = "root=outputs",
    text_free: Annotated[
        bool, typer.Option("--text-free", help="Thoughts and scenarios alone, without the corpus's text.")
    ] = False,
) -> None:
    """Write a run's stored answers to a file, without what was asked."""
    from thinkus import launch

    launch.pack(run, file, root.removeprefix("root="), text_free=text_free)


@share.command()
def unpack(
    file: FileArgument, run: RunArgument, root: RootArgument = "root=outputs", redo: Redo = False
) -> None:
    """Add a file's answers to a run, or to one that is still to begin; join annotations to one's own copy."""
    from thinkus import launch

    launch.unpack(file, run, root.removeprefix("root="), redo=redo)


@app.callback(invoke_without_command=True)
def _thinkus(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script: a mistake of the user's is one line and exit 2, ours a traceback."""
    signals.heed()
    try:
        if app(args=arguments, standalone_mode=False) == INTERRUPTED:  # what Typer makes of Ctrl-C
            _end("stopped; the same command goes on from here", INTERRUPTED)
    except ThinkusError as error:
        _end(str(error), USER_ERROR)
    except _UsageError as error:
        _end(_usage(error), USER_ERROR)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read us has seen enough
    except OSError as error:
        if not (line := of_the_machine(error)):
            raise
        _end(line, USER_ERROR)


def _usage(error: Exception) -> str:
    """One line for a mistake in the flags; Typer would draw a box."""
    line: str = error.format_message()  # type: ignore[attr-defined]
    if type(error).__name__ == "NoArgsIsHelpError":
        return line
    line = line[0].lower() + line[1:].rstrip(".")
    flag = getattr(error, "option_name", "")
    context = getattr(error, "ctx", None)
    stage = context.info_name if context else ""
    if stage not in STAGES and flag in ("--show", "--dry-run", "--redo", "-m", "--multirun"):
        return f"{line}: flags come after the stage, as in thinkus prepare {flag}"
    if stage in STAGES and flag not in ("", "--"):
        return f"{line}; values are said without dashes, as KEY=VALUE: {flag.lstrip('-')}=..."
    return f"{line}; see thinkus {stage + ' ' if stage in STAGES else ''}--help"


def _end(line: str, code: int) -> None:
    print(line, file=sys.stderr)
    sys.exit(code)
