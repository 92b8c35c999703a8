"""Execute a notebook with a real kernel and show its cells and their output in the terminal, live.

python scripts/demo.py [notebooks/01_quickstart.ipynb]
"""

import asyncio
import os
import re
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

QUICKSTART = Path(__file__).resolve().parent.parent / "notebooks/01_quickstart.ipynb"
HOME = Path(sys.prefix) / "demo"
SECONDS_PER_CELL = 300
LINES_PER_CELL = 8
ANSI_STYLE = re.compile(r"\x1b\[[0-9;]*m")


class LiveClient(NotebookClient):  # type: ignore[misc]  # nbclient's types are not followed
    """A notebook client that also prints what it executes and what comes back, at once."""

    def take_interrupts(self, **_: Any) -> None:
        """Let Ctrl-C interrupt the cell, as in a notebook, so that it can stop what it launched."""

        def interrupt() -> None:
            self.interrupting = asyncio.ensure_future(self.km.interrupt_kernel())

        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupt)

    def show_cell(self, cell: Any, **_: Any) -> None:
        """Print a text cell's headings, or the first lines of a code cell."""
        lines = cell.source.strip().splitlines()
        if cell.cell_type == "markdown":
            for line in lines:
                if line.startswith("#"):
                    self.show(f"\n{line.lstrip('# ')}\n", style="1")
        elif cell.cell_type == "code" and lines:
            rest = len(lines) - LINES_PER_CELL
            shown = lines if rest <= 1 else [*lines[:LINES_PER_CELL], f"... {rest} more lines"]
            code = "\n".join(f"  │ {line}" for line in shown)
            self.show(f"\n[{self.code_cells_executed + 1}]\n{code}\n", style="36")

    def output(self, outs: Any, msg: Any, display_id: Any, cell_index: Any) -> Any:
        """Print one message of the kernel on its way into the notebook."""
        content = msg["content"]
        if msg["msg_type"] == "stream":
            self.show(content["text"])
        elif msg["msg_type"] == "execute_result":
            self.show(content["data"].get("text/plain", "") + "\n")
        elif msg["msg_type"] == "error":
            self.show("\n".join(content["traceback"]) + "\n")
        return super().output(outs, msg, display_id, cell_index)

    def show(self, text: str, style: str = "") -> None:
        if not sys.stdout.isatty():
            text = ANSI_STYLE.sub("", text)
        elif style:
            text = f"\x1b[{style}m{text}\x1b[0m"
        sys.stdout.write(text)
        sys.stdout.flush()


def isolate() -> None:
    """Keep the demo and the user's runs, settings and start-up files apart."""
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    os.environ["JUPYTER_LAUNCH_STORE"] = f"sqlite:///{HOME / 'launch.db'}"
    os.environ["IPYTHONDIR"] = str(HOME / "ipython")
    # the launched programs, too, find this Python first
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ["PATH"]])


def execute(path: Path) -> str:
    """Execute the notebook at `path`; the answer says what went wrong, if anything did."""
    notebook = nbformat.read(path, as_version=4)
    client = LiveClient(
        notebook,
        kernel_name="python3",
        timeout=SECONDS_PER_CELL,
        resources={"metadata": {"path": str(path.parent)}},
        # else it warns in this terminal that a kernel's messages are not encrypted
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
    )
    client.on_notebook_start = client.take_interrupts
    client.on_cell_start = client.show_cell
    # Without any folder to search, the only kernel is the one of this very interpreter.
    client.create_kernel_manager().kernel_spec_manager = KernelSpecManager(kernel_dirs=[])
    try:
        client.execute()
    except CellExecutionError:
        return "a cell failed"  # its traceback has been shown
    except (CellTimeoutError, DeadKernelError) as error:
        return str(error)
    finally:
        nbformat.write(notebook, HOME / path.name)
    return ""


def main() -> int:
    path = Path(sys.argv[1] if len(sys.argv) > 1 else QUICKSTART).resolve()
    isolate()
    started = time.monotonic()
    problem = execute(path)
    verdict = f"FAILED: {problem}" if problem else "every cell succeeded"
    print(f"\n{path.name}: {verdict} ({time.monotonic() - started:.1f} s)")
    print(f"The executed notebook: {os.path.relpath(HOME / path.name)}")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
