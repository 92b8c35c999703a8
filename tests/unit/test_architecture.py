"""The shape of the package: who may import whom, and how large things may grow.

`LAYERS` is the architecture. A module imports from its own layer and from those above it in the
table; imports within functions and under ``TYPE_CHECKING`` count.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from statistics import median

import pytest

import jupyter_launch

ROOT = Path(jupyter_launch.__file__).parent

LAYERS = {
    "L0 values": [
        "_version",
        "artifact",
        "errors",
        "states",
        "runs",
        "option",
        "validation",
        "spec_parts",
        "spec",
        "job",
        "recipe",
        "program",
        "style",
        "row",
    ],
    "L1 plumbing": [
        "config",
        "config_markup",
        "bell",
        "owner",
        "docker_engine",
        "redact",
        "screen",
        "terminal",
        "templates",
    ],
    "L2 seams": [
        "backends",
        "backends.base",
        "stores",
        "stores.artifact_verbs",
        "stores.queue_verbs",
        "stores.job_verbs",
        "stores.upkeep_verbs",
        "stores.base",
        "sources.base",
        "report",
    ],
    "L3 adapters": [
        "backends.*",
        "stores.*",
        "sources",
        "sources.*",
        "builds",
        "builds.*",
        "environment",
    ],
    "L4 core": [
        "lease",
        "multiplex",
        "preparation",
        "resolve",
        "queues",
        "waiting",
        "sampling",
        "rooms",
        "asking",
        "policy",
        "placing",
        "job_making",
        "following",
        "leftovers",
        "execute",
        "artifacts",
        "collecting",
        "handle",
        "submit",
        "log_pieces",
        "line_replay",
        "line_index",
        "line_chunk",
        "line_search",
        "lines",
        "retries",
    ],
    "L5 agent": ["agent"],
    "L6 frontends": ["frontends", "frontends.*", "__main__", "inputs", "inputs.*"],
}
"""``x.*`` is what is below `x` and not named elsewhere."""

FREE = "__init__"
"""The package itself: its public names come from every layer, on first use."""

MODULE_LINES, MODULE_MEDIAN = 300, 150
FUNCTION_LINES, FUNCTION_MEDIAN = 40, 10
PARAMETERS = 6
DOCUMENTED_BY_WANDB = {"frontends.launches.launch", "frontends.launches.launch_add"}
"""Functions whose parameters, and so their size, are not ours to choose."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """A module of the package, by its name within it."""

    name: str
    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, str(self.path))

    @property
    def lines(self) -> int:
        return len(self.text.splitlines())

    @property
    def folder(self) -> str:
        """The package that relative imports start from."""
        inside = self.path.relative_to(ROOT).parent
        return ".".join(["jupyter_launch", *inside.parts])

    @property
    def prints(self) -> bool:
        """Whether it talks to people."""
        return self.name == "__main__" or self.name.startswith("frontends")

    def functions(self) -> Iterator[tuple[str, Function]]:
        for node in ast.walk(self.tree):
            if isinstance(node, Function):
                yield f"{self.name}.{node.name}", node

    def imports(self) -> set[str]:
        """Names of this package's modules that it imports, wherever in its text."""
        targets = {target for node in ast.walk(self.tree) for target in self._targets(node)}
        inside = {t.removeprefix("jupyter_launch").lstrip(".") for t in targets if _ours(t)}
        return {_module_of(name) for name in inside} - {self.name, FREE}

    def _targets(self, node: ast.AST) -> list[str]:
        if isinstance(node, ast.Import):
            return [alias.name for alias in node.names]
        if not isinstance(node, ast.ImportFrom):
            return []
        parents = self.folder.split(".")
        base = parents[: len(parents) - node.level + 1] if node.level else []
        start = ".".join([*base, *filter(None, [node.module])])
        return [f"{start}.{alias.name}" for alias in node.names]


def _ours(target: str) -> bool:
    return target.partition(".")[0] == "jupyter_launch"


def _module_of(name: str) -> str:
    """Find the module that holds a dotted name: itself, or the nearest one above it."""
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name or FREE


def _modules() -> Iterator[Module]:
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        yield Module(name or FREE, path)


MODULES = {module.name: module for module in _modules()}
FUNCTIONS = [pair for module in MODULES.values() for pair in module.functions()]
OURS = [pair for pair in FUNCTIONS if pair[0] not in DOCUMENTED_BY_WANDB]


def layer(name: str) -> int:
    """Number a module's layer."""
    wanted = (name, f"{name.rpartition('.')[0]}.*", f"{name.partition('.')[0]}.*")
    for spelling in wanted:
        for number, members in enumerate(LAYERS.values()):
            if spelling in members:
                return number
    raise AssertionError(f"the module {name} has no place in LAYERS")


def lines_of(function: Function) -> int:
    """Count a function's lines, without its docstring."""
    first = function.body[0]
    assert first.end_lineno is not None
    assert function.end_lineno is not None
    docstring = first.end_lineno - first.lineno + 1 if ast.get_docstring(function) else 0
    return function.end_lineno - function.lineno + 1 - docstring


def parameters(function: Function) -> int:
    """Count what a caller has to know: everything but ``self`` and ``cls``."""
    given = function.args
    names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    own = names[:1] in (["self"], ["cls"])
    return len(names) - own + bool(given.vararg) + bool(given.kwarg)


# -- who imports whom --------------------------------------------------------------------------


def test_every_module_has_a_layer() -> None:
    for name in MODULES.keys() - {FREE}:
        layer(name)


def test_every_name_in_the_table_is_a_module() -> None:
    named = {member.removesuffix(".*") for members in LAYERS.values() for member in members}
    assert named - MODULES.keys() == set()


@pytest.mark.parametrize("name", sorted(MODULES.keys() - {FREE}))
def test_imports_run_downwards(name: str) -> None:
    assert [to for to in MODULES[name].imports() if layer(to) > layer(name)] == []


def test_imports_have_no_cycle() -> None:
    graph = {name: module.imports() for name, module in MODULES.items() if name != FREE}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError("these import each other: " + " -> ".join(error.args[1])) from None


# -- how large things may grow -----------------------------------------------------------------


def test_modules_are_short() -> None:
    assert {n: m.lines for n, m in MODULES.items() if m.lines > MODULE_LINES} == {}
    assert median(module.lines for module in MODULES.values()) <= MODULE_MEDIAN


def test_functions_are_short() -> None:
    lines = {name: lines_of(function) for name, function in OURS}
    assert {name: count for name, count in lines.items() if count > FUNCTION_LINES} == {}
    assert median(lines.values()) <= FUNCTION_MEDIAN


def test_functions_take_few_parameters() -> None:
    assert {n: parameters(f) for n, f in OURS if parameters(f) > PARAMETERS} == {}


# -- where things belong -----------------------------------------------------------------------


def test_every_module_is_named_after_what_it_holds() -> None:
    words = {part for name in MODULES for part in name.split(".")}
    assert words & {"utils", "util", "helpers", "helper", "common", "misc"} == set()


@pytest.mark.parametrize("name", sorted(n for n, module in MODULES.items() if not module.prints))
def test_only_front_ends_print_or_exit(name: str) -> None:
    calls = [node for node in ast.walk(MODULES[name].tree) if isinstance(node, ast.Call)]
    said = {ast.unparse(call.func): call.lineno for call in calls}
    assert said.keys() & {"print", "exit", "quit", "sys.exit"} == set()


@pytest.mark.parametrize("name", sorted(MODULES))
def test_only_the_agent_and_front_ends_catch_everything(name: str) -> None:
    if name == "agent" or name.startswith("frontends"):
        return
    handlers = [n for n in ast.walk(MODULES[name].tree) if isinstance(n, ast.ExceptHandler)]
    assert [h.lineno for h in handlers if _catches_all(h) and not _raises_again(h)] == []


def _catches_all(handler: ast.ExceptHandler) -> bool:
    caught = [] if handler.type is None else [ast.unparse(node) for node in _each(handler.type)]
    return handler.type is None or bool({"Exception", "BaseException"}.intersection(caught))


def _each(kind: ast.expr) -> list[ast.expr]:
    return kind.elts if isinstance(kind, ast.Tuple) else [kind]


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None
