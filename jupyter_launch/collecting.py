"""Collecting: what an ended program left behind goes from its backend to the store."""

from __future__ import annotations

import re

from .backends.base import Backend
from .config import setting
from .errors import BackendError, BackendUnavailable, ConfigError
from .runs import Run
from .stores.artifact_verbs import Limits
from .stores.base import Store

TOLD = 5
"""How many of the things that were left out are named."""

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) *([KMGT]?)B?", re.IGNORECASE)
_FACTORS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def collect(store: Store, run: Run, owner: str, backend: Backend) -> None:
    """Keep what a run's ended program left behind, all at once; what was left out is told.

    Raises
    ------
    BackendUnavailable, StoreError
        Then nothing was kept, and whoever takes the run over tries again.
    """
    assert run.handle is not None
    try:
        most, left_out = limits(), []
    except ConfigError as error:  # no reason to lose what was computed
        most, left_out = Limits(), [str(error)]
    try:
        found = backend.outputs(run.handle, run.spec.outputs)
        left_out += store.keep_artifacts(run.id, owner, found, most)
    except BackendUnavailable:
        raise
    except BackendError as error:
        left_out += [str(error)]
    if left_out:
        more = len(left_out) - TOLD
        lines = [*left_out[:TOLD], *([f"and {more:,} more"] if more > 0 else [])]
        text = "Not all outputs were kept:\n" + "\n".join(lines)
        store.append_event(run.id, "notice", {"text": text})


def limits() -> Limits:
    """Give how much a run may leave behind.

    Raises
    ------
    ConfigError
        When the setting is no size.
    """
    usual = Limits()
    asked = setting("artifacts.limit")
    if asked.value is None:
        return usual
    size = _SIZE.fullmatch(asked.value.strip())
    if size is None:
        raise ConfigError(
            f"artifacts.limit ({asked.origin}) is no size: {asked.value!r}.",
            hint="Write it as 500 MB, or 20 GB.",
        )
    return usual._replace(size=int(float(size[1]) * _FACTORS[size[2].upper()]))
