"""Options that commands share. Each is also a variable of make, as TINYPROOF_<NAME>."""

from __future__ import annotations

import functools
import inspect
import math
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from host_tools.boards.board import BOARDS, ENGINE, ENGINES, load_board
from host_tools.boards.parts import PARTS
from host_tools.build.engine import ARENA as TFLM_ARENA
from host_tools.build.engine import NAMED as TFLM_FOLDER
from host_tools.emulators.renode import RENODE
from host_tools.errors import UsageError
from host_tools.mlperf.benchmarks import BENCHMARKS
from host_tools.project import Import, open_source, project_of
from host_tools.stages.graph import Source
from host_tools.wording import as_typed, know
from model.jobs import SCHEDULER
from model.recipe_file import recipe_names
from model.recording import SWITCH
from quantize.tflite.files import is_model_path

DEFAULT_BOARD = "qemu_m4"
ALL, SEVERAL = "all", ","  # in the place of a board's name, and between names
START = "tinyproof.start"  # of click's context: where the user stands
F = TypeVar("F", bound=Callable[..., Any])


class Count(click.IntRange):
    """A number of at least 1."""

    name = "number"


class Positive(click.FloatRange):
    """A number above 0, at most 1e9: neither endless nor no number."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True, max=1e9)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number."""
        found = float(super().convert(value, param, ctx))
        if math.isnan(found):
            self.fail(f"expected a number, got {value!r}", param, ctx)
        return found


COUNT = Count(min=1)
ARENA_BYTES = Count(min=1, max=1 << 28)  # more than a microcontroller has, less than C's int


def variable(name: str) -> str:
    """Where make puts its variable `name`."""
    return f"TINYPROOF_{name}"


class File(click.ParamType[Path]):
    """A path, made absolute before the command moves to the project's folder."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The absolute path; whether it exists is told where it is read."""
        if not os.fspath(value):
            self.fail("expected a path, got an empty text", param, ctx)
        if "\0" in os.fspath(value):
            self.fail("expected a path, got one with a zero byte", param, ctx)
        return Path(value).absolute()


class Text(click.ParamType[str]):
    """A text of at least one character: an empty one is a variable that was never set."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text."""
        if not value:
            self.fail("expected a value, got an empty text", param, ctx)
        return str(value)


class RecipeName(Text):
    """A recipe's name, or the path of its .toml."""

    name = "recipe"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name, or the absolute path."""
        text = super().convert(value, param, ctx)
        return str(Path(text).absolute()) if text.endswith(".toml") else text

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The project's recipes and the examples."""
        known = sorted({*recipe_names(Path()), *recipe_names()})
        return [CompletionItem(name) for name in known if name.startswith(incomplete)]


class BoardName(Text):
    """A board, which may have -<kernels> and -selftest behind it; with `several`, some, or ALL."""

    name = "board"

    def __init__(self, *, several: bool = False) -> None:
        self._several = several

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name, before anything is done; load_board refuses one that does not exist."""
        names = super().convert(value, param, ctx)
        for name in names.split(SEVERAL) if self._several else [names]:
            if self._several and is_all(name):
                continue
            try:
                load_board(name)
            except UsageError as error:
                self.fail(str(error), param, ctx)
        return names

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The boards."""
        known = [*BOARDS, *([ALL] if self._several else [])]
        return [CompletionItem(name) for name in known if name.startswith(incomplete)]


def is_all(name: str) -> bool:
    """Whether it stands for every board; an engine or kernels may be behind it, as all-tflm."""
    return name.partition("-")[0] == ALL


def option(*names: str, make: str = "", **more: Any) -> Callable[[F], F]:
    """An option whose variable of make is `make`, or its own name in capitals."""
    own = make or names[-1].lstrip("-").split("/")[0].replace("-", "_").upper()
    know(own, names[0].split("/")[0], switch=bool(more.get("is_flag")))
    if "type" not in more and not more.get("is_flag"):
        more["type"] = Text()
    return click.option(*names, envvar=variable(own), show_envvar=False, **more)


def switch(*names: str, make: str = "", help: str) -> Callable[[F], F]:
    """An option that is on or off; 0, no, off and false of a variable mean off."""
    return option(*names, make=make, is_flag=True, default=False, help=help)


def in_project(function: F) -> F:
    """Add --project, and run the command in that folder; and --tracking."""

    @functools.wraps(function)
    def run(*arguments: Any, project: Path | None, tracking: str | None, **options: Any) -> Any:
        if tracking is not None:
            os.environ[SWITCH] = tracking
        recipe = options.get("recipe") or options.get("source")
        click.get_current_context().meta[START] = Path.cwd()
        os.chdir(project_of(project, recipe if isinstance(recipe, str) else None))
        return function(*arguments, **options)

    for added in (
        option("--tracking", metavar="off", help="off: record no experiment"),
        option(
            "--project",
            type=File(),
            help="folder of the project; default: the recipe's, or this one",
        ),
    ):
        run = added(run)
    return run  # type: ignore[return-value]


def next_step(source: Source) -> str:
    """The command that proves an imported model, as it is typed where the user stands."""
    start = click.get_current_context().meta[START]
    project = "" if start == Path.cwd() else f" PROJECT={shlex.quote(os.fspath(Path.cwd()))}"
    return as_typed(
        f"imported as {source.name}; next: make parity {source.says} BOARD=native{project}"
    )


def recipe_options(function: F) -> F:
    """Whose data is used: SOURCE or --recipe; gives the command a Source as `source`."""

    def opened(options: dict[str, Any]) -> Source:
        budgets = {name: options.pop(name, None) for name in BUDGETS}
        accept = bool(options.pop("accept", False))
        source = _open(options, Import(dry=_plans(options), accept=accept, **budgets))
        return require_recipe(source)

    return _with_source(function, opened, RECIPE)


def folder_options(function: F) -> F:
    """Whose results are read: SOURCE, --recipe or --model; gives a Source as `source`."""

    def opened(options: dict[str, Any]) -> Source:
        return _open(options, Import(array=options.pop("array"), dry=_plans(options)))

    return _with_source(function, opened, ARRAY, MODEL, RECIPE)


def source_options(function: F) -> F:
    """What a command works on: as folder_options, and how a model is taken over.

    --cases goes on to a command that has a parameter of that name; to others it is of a model only.
    """
    wanted = "cases" in inspect.signature(function).parameters

    def opened(options: dict[str, Any]) -> Source:
        cases = options["cases"] if wanted else options.pop("cases")
        names = ("inputs", "float_model", "array", *BUDGETS)
        taken = {name: options.pop(name) for name in names}
        source = _open(options, Import(cases=cases, dry=_plans(options), **taken))
        if cases and not wanted and source.recipe is not None:
            raise click.UsageError(
                f"CASES={cases}: the cases of a recipe are its test windows; only parity and "
                "features run fewer of them"
            )
        if not wanted:
            tell_cases(source, cases)
        return source

    return _with_source(function, opened, *MODEL_OPTIONS, RECIPE)


def tell_cases(source: Source, cases: int | None) -> None:
    """Say that --cases, which counts random inputs, does not choose among somebody's own."""
    if cases and source.inputs:
        print(
            as_typed(
                f"CASES={cases}: without effect, all cases of the model's own inputs are kept; "
                "parity runs fewer of them"
            ),
            file=sys.stderr,
        )


def _with_source(
    function: F,
    opened: Callable[[dict[str, Any]], Source],
    *options: Callable[[Any], Any],
) -> F:
    """`function` with the argument SOURCE and `options`, of which `opened` makes its `source`."""

    @functools.wraps(function)
    def run(*arguments: Any, **given: Any) -> Any:
        return function(*arguments, source=opened(given), **given)

    added: Callable[..., Any] = run
    for add in (*options, click.argument("source", type=SourceName(), required=False)):
        added = add(added)
    return in_project(added)  # type: ignore[return-value]


def _open(options: dict[str, Any], how: Import) -> Source:
    source, recipe = options.pop("source"), options.pop("recipe")
    model = options.pop("model", None)
    context = click.get_current_context()
    return open_source(named_once(source, recipe, model), model, how, context.with_resource)


def named_once(source: str | None, recipe: str | None, model: Path | None) -> str | None:
    """SOURCE or --recipe; UsageError when more is given than one of them and --model."""
    if len([name for name in (source, recipe, model) if name]) > 1:
        raise click.UsageError("expected one of SOURCE, --recipe and --model, got several")
    return source or recipe


def _plans(options: Mapping[str, Any]) -> bool:
    """Whether the command only prints what would run, so that nothing may be written."""
    return bool(options.get("dry_run") or options.get("why"))


class SourceName(RecipeName):
    """A recipe's name, the path of a .toml or of a model, or the name of an imported model."""

    name = "source"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name, or the absolute path of what is a file."""
        text = Text.convert(self, value, param, ctx)
        named = text.endswith(".toml") or ("\0" not in text and is_model_path(Path(text)))
        is_file = named or (os.sep in text and Path(text).is_file())
        return str(Path(text).absolute()) if is_file else text


RECIPE = option("--recipe", type=RecipeName(), help="a recipe's name, or the path of its .toml")
MODEL = option(
    "--model", type=File(), help="a .tflite, C source with one, or the name of an imported one"
)
ARRAY = option("--array", metavar="NAME", help="which array of C source is the model")
INPUTS = option("--inputs", type=File(), help=".npz with one array [cases, *shape] for each input")
FLOAT = option(
    "--float",
    "float_model",
    make="FLOAT",
    type=File(),
    help="float original of a model, to compare with: .tflite, .keras or .h5",
)
ACCEPT = switch("--accept", help="record the data as they are now: the recipe's lock file anew")
CASES = option("--cases", type=COUNT, help="how many cases; of a model made elsewhere, random ones")


CONSTANTS = option(
    "--constants-bytes", type=COUNT, metavar="BYTES", help="budget of the model's constants"
)
RAM = option(
    "--ram",
    "ram_bytes",
    make="RAM",
    type=COUNT,
    metavar="BYTES",
    help="budget of the arena: tensors and the kernels' scratch",
)
BUDGETS = ("constants_bytes", "ram_bytes")


def budget_options(function: F) -> F:
    """For commands that generate code."""
    return CONSTANTS(RAM(function))


MODEL_OPTIONS = (CASES, budget_options, FLOAT, INPUTS, ARRAY, MODEL)


def plan_options(function: F) -> F:
    """Print what would run, or why, in place of running it."""
    for added in (
        switch("--why", help="only print which stages are not up to date, and what differs"),
        switch("--dry-run", help="only print which stages would run"),
    ):
        function = added(function)
    return function


def board_option(function: F) -> F:
    """Which board."""
    return option("--board", type=BoardName(), help="default: qemu_m4")(function)


def engine_option(default: str) -> Callable[[F], F]:
    """What runs the model, which becomes part of the board's name (`default` where none is given),
    and library_option."""

    def add(function: F) -> F:
        @functools.wraps(function)
        def run(*arguments: Any, engine: str, board: str | None, **options: Any) -> Any:
            if engine != ENGINE:
                names = (board or default).split(SEVERAL)
                board = SEVERAL.join(_with_engine(name, engine) for name in names)
            return function(*arguments, board=board, **options)

        words = "aot: C code compiled ahead of time; tflm: TFLite Micro's interpreter; default: aot"
        added = option("--engine", type=click.Choice(ENGINES), default=ENGINE, help=words)(run)
        return library_option(added)  # type: ignore[return-value]

    return add


def _with_engine(name: str, engine: str) -> str:
    """A board's name with an engine in it; raises as load_board does."""
    after = "" if is_all(name) else load_board(name).suffix
    named = f"{name.removesuffix(after).removesuffix(f'-{engine}')}-{engine}{after}"
    if not is_all(name):
        load_board(named)
    return named


def library_option(function: F) -> F:
    """Where a TFLite Micro of the user's is, and its arena; both go through the environment."""

    @functools.wraps(function)
    def run(*arguments: Any, tflm: Path | None, arena: int | None, **options: Any) -> Any:
        with (
            _environment(TFLM_FOLDER, str(tflm) if tflm else None),
            _environment(TFLM_ARENA, str(arena) if arena else None),
        ):
            return function(*arguments, **options)

    for added in (
        option(
            "--arena", type=ARENA_BYTES, metavar="BYTES", help="of TFLite Micro; default: measured"
        ),
        option("--tflm", type=File(), help="folder of a TFLite Micro; default: the registry's"),
    ):
        run = added(run)
    return run  # type: ignore[return-value]


def mlperf_option(function: F) -> F:
    """Which benchmark; see answering."""
    words = "firmware that answers this benchmark of MLPerf Tiny, too"
    return option("--mlperf", type=click.Choice([*BENCHMARKS]), help=words)(function)


def answering(board: str, mlperf: str | None) -> str:
    """The name of a board whose firmware answers the commands of a benchmark as well."""
    return f"{board.removesuffix(f'-{mlperf}')}-{mlperf}" if mlperf else board


def without_option(function: F) -> F:
    """Which parts of the application; see lacking."""
    words = f"parts that the firmware does not have: some of {','.join(PARTS)}"
    return option("--without", metavar="PARTS", help=words)(function)


def scheduler_option(function: F) -> F:
    """Where jobs run (model.jobs), which no result depends on: it goes through the environment.

    Only while the command runs, so not when a wrong option keeps it from running.
    """

    @functools.wraps(function)
    def run(*arguments: Any, scheduler: str | None, **options: Any) -> Any:
        with _environment(SCHEDULER, scheduler):
            return function(*arguments, **options)

    added = option(
        "--scheduler",
        metavar="ADDRESS",
        help="run what is many jobs on a Dask cluster, as tcp://host:8786; default: here",
    )
    return added(run)  # type: ignore[return-value]


@contextmanager
def _environment(name: str, value: str | None) -> Iterator[None]:
    """The environment with `value`, if there is one."""
    before = os.environ.get(name)
    if value:
        os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before


def emulator_options(function: F) -> F:
    """Which emulator, and where Renode is, which goes through the environment."""

    @functools.wraps(function)
    def run(*arguments: Any, renode: Path | None, **options: Any) -> Any:
        with _environment(RENODE, str(renode) if renode else None):
            return function(*arguments, **options)

    for added in (
        option("--renode", type=File(), help="Renode's program; default: renode on PATH"),
        option("--emulator", help="default: the board's first"),
    ):
        run = added(run)
    return run  # type: ignore[return-value]


def target_options(function: F) -> F:
    """Where firmware runs."""
    function = emulator_options(function)
    words = "serial port of a real board; usb: the one with its USB identity"
    return option("--port", help=words)(function)


def repeated(*but: str) -> str:
    """The command that runs, in make's words without those of `but`, with {port} as its port."""
    context = click.get_current_context()
    by_make = os.environ.get(variable("GIVEN"), "").split()  # not what a shell exports
    words = [f"make {context.info_name}"]
    for param in sorted(context.command.params, key=lambda p: not isinstance(p, click.Argument)):
        value = context.params.get(param.name or "")
        name = str(param.envvar or "").removeprefix(variable(""))
        typed = context.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE
        given = typed or name in by_make
        if name in ("PORT", *but) or value in (None, False) or not given:
            continue
        if isinstance(param, click.Argument):
            name = "MODEL" if is_model_path(Path(str(value))) else "RECIPE"
        words.append(f"{name}={1 if value is True else shlex.quote(str(value))}")
    return " ".join([*words, "PORT={port}"])


def require_recipe(source: Source) -> Source:
    """For commands that need a recipe; UsageError for a model made elsewhere."""
    if source.recipe is None:
        raise click.UsageError(f"{source.name}: expected a recipe; this command trains on its data")
    return source
