"""Runs a notebook as a program: its log is what the cells print, its artifact the notebook.

This file goes along with the notebook to where that runs, so it needs nothing but Python 3.8 and
what runs notebooks: ``nbclient`` and ``ipykernel``, and ``papermill`` for parameters in other
languages than Python.
"""

from __future__ import annotations

import importlib
import json
import keyword
import os
import signal
import sys
from pathlib import Path
from typing import Any

HINT = (
    "It takes the packages papermill and ipykernel to run a notebook. Launch it with "
    "--requirements papermill ipykernel, or in an image that has them (-d IMAGE), or as a process "
    "of a Python that has them (-r local-process)."
)


def config() -> dict[str, Any]:
    """Give the run config: see `environment.chunked` for how it comes in pieces."""
    text = os.environ.get("WANDB_CONFIG")
    if text is None:
        pieces: list[str] = []
        while (piece := os.environ.get(f"WANDB_CONFIG_{len(pieces)}")) is not None:
            pieces.append(piece)
        text = "".join(pieces)
    found = json.loads(text or "{}")
    return found if isinstance(found, dict) else {}


def say(text: str, stream: Any = None) -> None:
    """Write to the log at once."""
    stream = stream or sys.stdout
    stream.write(text)
    stream.flush()


def parameters(given: dict[str, Any]) -> dict[str, Any]:
    """Give those values of the run config that a notebook can have as variables."""
    usable = {n: v for n, v in given.items() if n.isidentifier() and not keyword.iskeyword(n)}
    for name in given.keys() - usable.keys():
        say(f"{name!r} of the run config can be no variable: it is no parameter.\n", sys.stderr)
    return usable


def language_of(notebook: Any) -> str:
    """Name the language of a notebook, which is Python unless it says otherwise."""
    about = notebook.metadata
    named = about.get("kernelspec", {}).get("language") or about.get("language_info", {}).get(
        "name"
    )
    return str(named or "python").lower()


def parameterised(notebook: Any, values: dict[str, Any]) -> Any:
    """Put a cell with the values behind the cell that has the tag ``parameters``, or first."""
    if not values:
        return notebook
    try:
        papermill = importlib.import_module("papermill.parameterize")
    except ImportError:
        return _with_values(notebook, values)
    # Papermill logs to nowhere; it is said here that no cell is replaced.
    notebook.metadata.setdefault("papermill", {})
    for cell in notebook.cells:
        cell.metadata.setdefault("tags", [])
    name = notebook.metadata.get("kernelspec", {}).get("name", "python3")
    return papermill.parameterize_notebook(
        notebook, values, kernel_name=name, language=language_of(notebook)
    )


def _with_values(notebook: Any, values: dict[str, Any]) -> Any:
    if language_of(notebook) != "python":
        raise SystemExit(f"Parameters for a notebook in {language_of(notebook)} need papermill.")
    source = "# Parameters\n" + "\n".join(f"{name} = {value!r}" for name, value in values.items())
    cell = importlib.import_module("nbformat.v4").new_code_cell(source)
    cell.metadata["tags"] = ["injected-parameters"]
    tags = [set(other.metadata.get("tags", [])) for other in notebook.cells]
    old = next((at for at, tag in enumerate(tags) if "injected-parameters" in tag), None)
    if old is not None:
        notebook.cells[old] = cell
        return notebook
    first = next((at + 1 for at, tag in enumerate(tags) if "parameters" in tag), 0)
    notebook.cells.insert(first, cell)
    return notebook


class Execution:
    """The execution of one notebook.

    Parameters
    ----------
    notebook : NotebookNode
        What is run; outputs are put into it.
    target : Path
        Where it is kept, anew after every cell: what stopped it loses nothing.
    """

    def __init__(self, notebook: Any, target: Path) -> None:
        self.notebook, self.target = notebook, target
        self.code = [at for at, cell in enumerate(notebook.cells) if cell.cell_type == "code"]

    def run(self) -> None:
        """Run all cells. Raises what `nbclient` does for a cell that failed."""
        nbclient = importlib.import_module("nbclient")
        execution = self

        class Client(nbclient.NotebookClient):  # type: ignore[misc, name-defined]
            """Tells what comes out of the cells, as it comes."""

            def output(self, outs: Any, msg: Any, display_id: Any, cell_index: Any) -> Any:
                execution.tell(msg["msg_type"], msg["content"])
                return super().output(outs, msg, display_id, cell_index)

        client = Client(
            self.notebook,
            timeout=None,
            resources={"metadata": {"path": os.getcwd()}},  # noqa: PTH109
            on_cell_start=self._start,
            on_cell_executed=self._executed,
            **self._kernel(),
        )
        try:
            client.execute()
        finally:
            self.save()

    def tell(self, kind: str, content: Any) -> None:
        """Write an output of a cell to the log, as text."""
        if kind == "stream":
            say(content["text"], sys.stderr if content["name"] == "stderr" else sys.stdout)
        elif kind in {"execute_result", "display_data"}:
            say(content["data"].get("text/plain", "") + "\n")
        elif kind == "error":
            say("\n".join(content["traceback"]) + "\n", sys.stderr)

    def save(self) -> None:
        """Write the notebook as it is now, in one step."""
        part = self.target.with_name(f".{self.target.name}.part")
        importlib.import_module("nbformat").write(self.notebook, str(part))
        part.replace(self.target)

    def _start(self, cell: Any, cell_index: int) -> None:
        if cell.cell_type == "code" and cell.source.strip():
            first = cell.source.strip().split("\n")[0]
            place = f"{self.code.index(cell_index) + 1}/{len(self.code)}"
            say(f"\x1b[2m[{place}] {first[:100]}\x1b[0m\n")

    def _executed(self, **_: Any) -> None:
        self.save()

    def _kernel(self) -> dict[str, Any]:
        """Choose the kernel: for Python this very interpreter, as for a script."""
        if language_of(self.notebook) != "python":
            return {"kernel_name": self.notebook.metadata["kernelspec"]["name"]}
        importlib.import_module("ipykernel")
        specs = importlib.import_module("jupyter_client.kernelspec")
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        argv += ["--IPKernelApp.log_level=40"]  # the log is for what the cells say
        managers = importlib.import_module("jupyter_client.manager")

        class Own(managers.AsyncKernelManager):  # type: ignore[misc, name-defined]
            """Starts this interpreter, whatever kernels are installed."""

            kernel_spec = specs.KernelSpec(argv=argv, display_name="Python 3", language="python")

        return {"kernel_manager_class": Own}


def _end(*_: object) -> None:
    raise SystemExit(143)


def main(path: Path) -> str:
    """Run a notebook; give why it failed, empty if it did not."""
    signal.signal(signal.SIGTERM, _end)
    try:
        nbformat = importlib.import_module("nbformat")
        importlib.import_module("nbclient")
    except ImportError as error:
        return f"{sys.executable} cannot run a notebook: {error}.\n{HINT}"
    folder = Path(os.environ.get("JUPYTER_LAUNCH_OUTPUT_DIR", "."))
    notebook = nbformat.read(str(path), as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    execution = Execution(parameterised(notebook, parameters(config())), folder / path.name)
    errors = importlib.import_module("nbclient.exceptions")
    try:
        execution.run()
    except errors.CellExecutionError as error:
        return f"The notebook failed: {error.ename}: {error.evalue}"
    except (errors.DeadKernelError, ImportError, KeyError) as error:
        hint = HINT if isinstance(error, ImportError) else ""
        return f"The notebook could not be run: {error}\n{hint}"
    return ""


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])) or 0)
