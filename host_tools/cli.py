"""tinyproof: one console command, a module of host_tools.commands for each of its commands.

make hands its variables over through the environment (TINYPROOF_<VARIABLE>), which is where each
option looks when it is not on the command line; so a value never passes through a shell.
"""

from __future__ import annotations

import difflib
import importlib
import io
import os
import re
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from host_tools.errors import UsageError
from host_tools.wording import GOALS, as_typed, command_names
from model import __version__
from model.command import run_and_exit_code

PREFIX = "TINYPROOF_"
GIVEN = "TINYPROOF_GIVEN"  # names of the variables on make's command line
MAKE_DRY = "TINYPROOF_MAKE_DRY_RUN"  # make -n
# What a target has that does not forward to a command of its name, or has variables of its own.
TARGETS = {
    "test": ("",), "test-all": ("",), "lint": ("",), "format": ("",), "lock": ("",),
    "clean": ("",), "help": ("",), "setup": ("PYTHON", "SKIP_SYSTEM"),
    "bench-record": ("REASON",), "train": ("CV", "REPEATS", "HELD_OUT", "INT8"),
}  # fmt: skip


class Commands(click.Group):
    """Loads a command's module when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, sorted."""
        return command_names()

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """What each command is for, without loading them: that takes seconds."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, short_help(name)) for name in self.list_commands(ctx)])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names that begin so."""
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        found = [CompletionItem(name, help=short_help(name)) for name in names]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, from its module."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command = importlib.import_module(f"host_tools.commands.{_module(cmd_name)}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest name for one that does not exist."""
        known = self.list_commands(ctx)
        if args and args[0] not in known:
            raise click.UsageError(
                f"no command {args[0]!r}{_closest(args[0], known)}; `tinyproof --help` lists them"
            )
        return super().resolve_command(ctx, args)


def _module(name: str) -> str:
    return name.replace("-", "_") + ("_" if name == "import" else "")


def short_help(name: str) -> str:
    """A command's `short_help`, read from its module's source."""
    source = Path(__file__).with_name("commands") / f"{_module(name)}.py"
    found = re.search(r'\bshort_help="([^"\\]*)"', source.read_text("utf-8"))
    return found[1] if found else ""


@click.group(
    name="tinyproof",
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="tinyproof")
def group() -> None:
    """Firmware for microcontrollers from a dataset or a model, with proof.

    The board computes, bit for bit, what TFLite Micro computes.

    Exit codes: 0 passed, 1 a check failed, 2 wrong use or something missing, 3 the device or the
    way to it, 130 interrupted (0 where Ctrl+C is how it ends: live, monitor, emulate, serve-port,
    runs-ui). Through make the exit code of a failure is always 2.
    """


def check_variables() -> None:
    """UsageError for a variable of make that none of its targets knows, with the nearest name.

    Only under make: elsewhere it would load every command for nothing.
    """
    given = os.environ.get(GIVEN, "").split()
    goals = os.environ.get(GOALS, "").split()
    known = {name for goal in goals for name in variables(goal)}
    for name in sorted(known - set(given)):
        if value := os.environ.get(name):
            print(
                f"note: {name}={value!r} of the environment is not used; give it to make: "
                f"make {' '.join(goals)} {name}=...",
                file=sys.stderr,
            )
    for name in given:
        if name in known:
            continue
        everywhere = sorted({name for goal in _targets() for name in variables(goal)})
        if name in everywhere:
            raise UsageError(
                f"{name}=: make {' '.join(goals)} does not use it; it knows "
                f"{', '.join(sorted(known)) or 'no variables'}"
            )
        raise UsageError(
            f"{name}=: no such variable{_closest(name, everywhere)}; make {' '.join(goals)} knows "
            f"{', '.join(sorted(known)) or 'no variables'}"
        )


def variables(target: str) -> set[str]:
    """The variables that a target of the Makefile takes."""
    own = set(TARGETS.get(target, ())) - {""}
    if "" in TARGETS.get(target, ()):
        return own
    command = group.get_command(click.Context(group), _command_of(target))
    if command is None:
        return own
    names = {str(p.envvar) for p in command.params if isinstance(p.envvar, str)}
    names |= {n for p in command.params if isinstance(p.envvar, list | tuple) for n in p.envvar}
    return own | {n.removeprefix(PREFIX) for n in names}


def _command_of(target: str) -> str:
    return "bench-all" if target == "bench-record" else target


def _targets() -> list[str]:
    return [*group.list_commands(click.Context(group)), *TARGETS]


def _closest(word: str, known: list[str]) -> str:
    match = difflib.get_close_matches(word, known, 1)
    return f" (did you mean {match[0]}?)" if match else ""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; errors become one message and an exit code."""
    return run_and_exit_code(lambda: _invoke(arguments), as_typed)


def _dry(arguments: list[str] | None) -> bool:
    """Under `make -n` a command that has no --dry-run is printed, not run."""
    if not os.environ.get(MAKE_DRY):
        return False
    words = sys.argv[1:] if arguments is None else arguments
    command = group.get_command(click.Context(group), words[0]) if words else None
    if command is not None and any(p.name == "dry_run" for p in command.params):
        os.environ[f"{PREFIX}DRY_RUN"] = "1"
        return False
    print(f"tinyproof {' '.join(words)}: would run")
    return True


def _invoke(arguments: list[str] | None) -> int:
    here = Path.cwd()
    try:
        check_variables()
        check_folder()
        if _dry(arguments):
            return 0
        result = group.main(arguments, prog_name="tinyproof", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.UsageError as error:
        usage = f" (see `{error.ctx.command_path} --help`)" if error.ctx else ""
        raise UsageError(_in_words(error) + usage) from error
    except click.ClickException as error:
        raise UsageError(error.format_message()) from error
    finally:
        os.chdir(here)


def check_folder(version: tuple[int, int] = sys.version_info[:2]) -> None:
    """UsageError for a module in the current folder that a child of ours would load for its own.

    From Python 3.11 on PYTHONSAFEPATH keeps the folder out of the children's sys.path.
    """
    if version >= (3, 11):
        return
    here = Path.cwd()
    others = [place for place in sys.path if place and Path(place).resolve() != here.resolve()]
    for path in sorted(here.iterdir()):
        name = path.stem if path.suffix == ".py" else path.name
        is_module = path.suffix == ".py" or (path / "__init__.py").is_file()
        if is_module and (
            name in sys.stdlib_module_names or PathFinder.find_spec(name, others) is not None
        ):
            raise UsageError(
                f"{path}: Python {version[0]}.{version[1]} would load it in place of the module "
                f"{name!r} that tinyproof needs; rename it, or use Python 3.11 or later"
            )


def _in_words(error: click.UsageError) -> str:
    """click's message; of a value that came from make, with the variable's name."""
    text = error.format_message().rstrip(".")
    param = getattr(error, "param", None)
    name = getattr(param, "envvar", None)
    if isinstance(name, str) and name.removeprefix(PREFIX) in os.environ.get(GIVEN, "").split():
        text = f"{name.removeprefix(PREFIX)}=: {text}"
    return text


def entry() -> None:
    """The console script; no child of it takes a module from the project's folder."""
    os.environ["PYTHONSAFEPATH"] = "1"
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # in step with errors where both go to one file
    sys.exit(main())


if __name__ == "__main__":  # of make's targets that are no command

    def checked() -> int:
        check_variables()
        return 0

    sys.exit(run_and_exit_code(checked))
