"""The README's table of arguments: what each one means, and the tests that prove it.

``python -m tests.arguments_table`` prints it; with ``--write`` it is put into the README.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jupyter_launch import launch, launch_add
from jupyter_launch.frontends.arguments import FIELDS
from jupyter_launch.option import options
from jupyter_launch.spec import LaunchSpec

TESTS = Path(__file__).resolve().parent
README = TESTS.parent / "README.md"
BEGIN, END = "<!-- arguments -->\n", "<!-- /arguments -->\n"
FUNCTIONS: tuple[Callable[..., Any], ...] = (launch, launch_add)


@dataclass(frozen=True)
class Proof:
    """A test, and an argument that it says it proves."""

    argument: str
    test: str
    path: Path

    @property
    def link(self) -> str:
        words = self.test.removeprefix("test_").replace("_", " ")
        return f"[{words}]({self.path.relative_to(TESTS.parent).as_posix()})"


@cache
def proofs() -> tuple[Proof, ...]:
    """Find what every test below this folder says that it proves."""
    return tuple(proof for path in sorted(TESTS.rglob("test_*.py")) for proof in _proofs(path))


def _proofs(path: Path) -> Iterator[Proof]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "proves":
                    yield from (Proof(ast.literal_eval(a), node.name, path) for a in mark.args)


def meanings(function: Callable[..., Any]) -> dict[str, str]:
    """Give the first sentence on each argument in a NumPy docstring."""
    text = inspect.getdoc(function) or ""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w+\n-+\n|\Z)", text, flags=re.M | re.S)
    assert section is not None
    entries = re.findall(r"^(\S.*)\n((?: .*\n?|\n)*)", section[1], flags=re.M)
    return {
        name.strip(): _sentence(meaning)
        for head, meaning in entries
        for name in head.partition(" : ")[0].split(",")
    }


def _sentence(text: str) -> str:
    first = re.split(r"(?<=\.)\s", " ".join(text.split()))[0]
    return first.replace("``", "`").replace("|", r"\|")


def flags() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Give the help and the spellings of every option, by the path of its field in a spec."""
    found = {path: (text, option.flags) for path, option, text in options(LaunchSpec)}
    return {path: (_sentence(text), spelt) for path, (text, spelt) in found.items()}


def arguments() -> dict[str, str]:
    """Give everything that needs a proof, with its meaning.

    Returns
    -------
    dict of str to str
        The arguments of the functions, such as ``launch.name``, and the options that are no
        argument of either, such as ``--env``.
    """
    found = {
        f"{function.__name__}.{name}": meaning
        for function in FUNCTIONS
        for name, meaning in meanings(function).items()
    }
    extra = {spelt[-1]: text for path, (text, spelt) in flags().items() if path not in _PATHS}
    return found | extra


_PATHS = set(FIELDS.values())


def table() -> str:
    """Give the table in Markdown: arguments of both functions first, then the other options."""
    lines = ["| argument | option | what it means | shown by |", "|---|---|---|---|"]
    grouped: dict[tuple[str, str], list[str]] = {}
    for argument, meaning in arguments().items():
        grouped.setdefault((argument.rpartition(".")[2], meaning), []).append(argument)
    names = [name for name, _ in grouped]
    # The two meanings that a name may have in the two functions stand side by side.
    for name, meaning in sorted(grouped, key=lambda key: names.index(key[0])):
        members = grouped[name, meaning]
        links = {p.link: None for p in proofs() if p.argument in members}
        lines.append(
            f"| {_spelt(name, members, names)} | {_option(name)} | {meaning} | {', '.join(links)} |"
        )
    return "\n".join(lines) + "\n"


def _spelt(name: str, members: list[str], names: list[str]) -> str:
    if name.startswith("-"):
        return ""
    functions = [f.__name__ for f in FUNCTIONS if f"{f.__name__}.{name}" in members]
    return f"`{name}`" if len(functions) == len(FUNCTIONS) else f"`{name}` of `{functions[0]}`"


def _option(name: str) -> str:
    by_name = {spelt[-1]: spelt for _, spelt in flags().values()}
    by_path = {path: spelt for path, (_, spelt) in flags().items()}
    spelt = by_name.get(name) or by_path.get(FIELDS.get(name, ""), ())
    return ", ".join(f"`{flag}`" for flag in spelt)


def written(readme: str) -> str:
    """Give the README with the table as it should be."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin, f"README.md has no {BEGIN.strip()}"
    assert end, f"README.md has no {END.strip()}"
    return f"{before}{begin}{table()}{end}{after}"


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(table(), end="")
