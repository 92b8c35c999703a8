"""A real IPython kernel, driven as a front end drives it."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jupyter_client.manager import KernelManager


class Kernel:
    """One kernel process and a client of it.

    Parameters
    ----------
    live : bool
        Whether the kernel is to believe that somebody sees its output change.
    """

    def __init__(self, *, live: bool) -> None:
        environment = dict(os.environ)
        if live:
            environment["JPY_SESSION_NAME"] = "/tests/notebook.ipynb"
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel(env=environment, stderr=subprocess.DEVNULL)
        self.client: Any = self.manager.client()
        self.client.allow_stdin = live
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, code: str, *, timeout: float = 60) -> list[dict[str, Any]]:
        """Run a cell and give its messages: stream, display_data, execute_result, error."""
        messages: list[dict[str, Any]] = []
        reply = self.client.execute_interactive(
            code, timeout=timeout, output_hook=messages.append, store_history=True
        )
        self.reply = reply["content"]
        return [m for m in messages if m["msg_type"] not in {"status", "execute_input"}]

    def text(self, code: str, *, timeout: float = 60) -> str:
        """Run a cell and give all it printed."""
        return "".join(
            m["content"]["text"]
            for m in self.run(code, timeout=timeout)
            if m["msg_type"] == "stream"
        )

    def error(self, code: str, *, timeout: float = 60) -> str:
        """Run a cell and give the error it ended with, or an empty text."""
        self.run(code, timeout=timeout)
        failed = self.reply["status"] == "error"
        return f"{self.reply['ename']}: {self.reply['evalue']}" if failed else ""

    def value(self, code: str) -> Any:
        """Run a cell and give the value it prints the `repr` of."""
        return ast.literal_eval(self.text(code))

    def kill(self) -> None:
        """End the kernel as `kill -9` does."""
        os.kill(self.manager.provisioner.pid, signal.SIGKILL)
        self.manager.shutdown_kernel(now=True)

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@contextmanager
def kernel(*, live: bool = False) -> Iterator[Kernel]:
    """Start a kernel and end it."""
    made = Kernel(live=live)
    try:
        yield made
    finally:
        made.close()
