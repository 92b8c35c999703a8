"""Every error a user can meet, as one tree.

::

    LaunchError
    ├── SpecError              a field of what was asked for is wrong
    ├── ConfigError            a setting or settings file is wrong
    ├── BackendError           the place where programs run
    │   ├── BackendUnavailable
    │   ├── StartFailed
    │   └── ImageNotFound
    ├── StoreError             the place where runs are recorded
    │   ├── StoreUnavailable
    │   ├── RunNotFound
    │   ├── QueueNotFound
    │   ├── ArtifactNotFound
    │   ├── IllegalTransition
    │   └── LeaseLost
    ├── SourceUnavailable      the code could not be fetched
    ├── ExecutionError         the run failed
    │   └── BuildFailed        its image could not be built
    ├── RunStopped             somebody stopped the run
    └── Unsupported            documented elsewhere, not possible here
"""

from __future__ import annotations

import inspect


class LaunchError(Exception):
    """The launch did not work.

    Parameters
    ----------
    message : str, optional
        What happened and why. Without it, the first line of the class docstring is used.
    hint : str, optional
        What to do next; shown on a line of its own.
    """

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        self.message = message or (inspect.getdoc(type(self)) or "").partition("\n")[0]
        self.hint = hint
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def _render_traceback_(self) -> list[str]:
        """Show the message alone in IPython: the user's cell is not at fault in our call stack."""
        head, *rest = str(self).splitlines()
        return [f"\x1b[31m{type(self).__name__}\x1b[0m: {head}", *rest]


class SpecError(LaunchError):
    """What was asked for is not a valid launch.

    Parameters
    ----------
    message, hint : str
        As for `LaunchError`.
    field : str
        The option or launch-spec field that is wrong, for front ends that mark it.
    """

    def __init__(self, message: str = "", *, hint: str = "", field: str = "") -> None:
        super().__init__(message, hint=hint)
        self.field = field


class ConfigError(LaunchError):
    """A setting is not valid."""


class BackendError(LaunchError):
    """The place where the program should run answered with an error."""


class BackendUnavailable(BackendError):
    """The place where the program should run does not answer."""


class StartFailed(BackendError):
    """The program could not be started."""


class ImageNotFound(BackendError):
    """The image is not on the engine and could not be pulled."""


class StoreError(LaunchError):
    """The store of runs answered with an error."""


class StoreUnavailable(StoreError):
    """The store of runs cannot be used."""


class RunNotFound(StoreError):
    """There is no such run."""


class QueueNotFound(StoreError):
    """There is no such queue."""


class ArtifactNotFound(StoreError, KeyError):
    """The run has no such artifact."""


class IllegalTransition(StoreError):
    """A run cannot go from its state to that one."""


class LeaseLost(StoreError):
    """Another process has taken over this run; this one must let go of it."""


class SourceUnavailable(LaunchError):
    """The code could not be fetched from where it is."""


class ExecutionError(LaunchError):
    """The run failed.

    Parameters
    ----------
    message, hint : str
        As for `LaunchError`.
    exit_code : int or None
        What the program ended with; ``None`` where it never got that far.
    log_tail : str
        The last lines of its log.
    """

    def __init__(
        self, message: str = "", *, hint: str = "", exit_code: int | None = None, log_tail: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code
        self.log_tail = log_tail

    def __str__(self) -> str:
        tail = "".join(f"\n  | {line}" for line in self.log_tail.splitlines())
        return self.message + tail + (f"\n{self.hint}" if self.hint else "")


class BuildFailed(ExecutionError):
    """The image could not be built."""


class RunStopped(LaunchError):
    """The run was stopped."""


class Unsupported(LaunchError):
    """What was asked for cannot be done here."""
