"""Submit: a spec becomes a run in the store, claimed by this process or put on a queue."""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from jupyter_core.paths import jupyter_data_dir

from .config import setting, variable
from .errors import SpecError, StoreError
from .execute import execute
from .handle import RunHandle
from .lease import Keeper
from .leftovers import clear, clear_leftovers
from .owner import host_of, known_dead
from .policy import Allow
from .resolve import queue_of, resolve, with_template
from .rooms import asked_room, left
from .runs import Queue, Room, Run
from .sources import applied
from .spec import MEDIUM, LaunchSpec
from .states import OWNED, State
from .stores import open_store
from .stores.base import Offer, Store

AGENT_IDLE_S = 60
"""How long an agent that was started for a queue waits for more work before it ends, in seconds."""

CLEAR_S = 5.0
"""How long the end of this process may wait for an ended run to be cleared away, in seconds."""

RETRY_S = 10.0
"""How long a slot stays empty after a backend was away, in seconds."""


class Launcher:
    """Submits runs to a store, and executes those that this process holds in threads.

    Parameters
    ----------
    store : Store
        Where the runs are recorded.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.keeper = Keeper(store, lambda run, adopted: self._start(run, adopted=adopted))
        self.on_free: Callable[[], None] = lambda: None
        self.allow: Allow | None = None
        """What runs may ask for that are executed here; without it, anything."""
        self.due = float("-inf")
        """When the last run that was put back on its queue here may be taken, by `monotonic`."""
        self.newest: str | None = None
        """The run that was launched here last, if any was."""
        self._asked_for_agent: dict[Queue, float] = {}
        self._agents: dict[Queue, tuple[subprocess.Popen[bytes], frozenset[str]]] = {}
        self._closed = threading.Event()
        self._threads: set[_Executing] = set()
        self._rooms: dict[str, Room] = {}
        self.keeper.start()

    def launch(self, spec: LaunchSpec, *, parent: str | None = None) -> RunHandle:
        """Start a spec now, in this process's care. Returns at once.

        Raises
        ------
        SpecError, Unsupported
            Before anything is recorded.
        """
        _refuse_queue(spec)
        spec, notices = resolve(spec, self.store, self.store)
        run = self.store.submit(spec, owner=self.keeper.owner, parent=parent)
        return self._begun(run, notices)

    def add(self, spec: LaunchSpec, *, parent: str | None = None) -> RunHandle:
        """Put a spec on its queue, and see to it that the queue has an agent. Returns at once.

        What is to be built is built here first; the queue gets the launch of the job made of it.

        Raises
        ------
        SpecError, Unsupported, QueueNotFound
            Before anything is recorded.
        """
        queue = queue_of(spec)
        spec, notices = resolve(with_template(spec, self.store, queue), self.store, self.store)
        owner = self.keeper.owner if spec.build else None
        room = asked_room(applied(spec, self.store), self.store.queue(queue))
        run = self.store.submit(spec, queue=queue, owner=owner, parent=parent, room=room)
        return self._begun(run, notices)

    def again(self, run: Run, spec: LaunchSpec) -> RunHandle:
        """Launch a spec as the successor of `run`: on a queue if that was, or if it names one."""
        return (self.add if run.queue or spec.queue else self.launch)(spec, parent=run.id)

    def handle(self, run_id: str) -> RunHandle:
        """Give the handle of a recorded run. Raises `RunNotFound`."""
        return RunHandle(self, self.store.get(run_id).id)

    def claim(self, queues: Sequence[Queue], whole: Room | None = None) -> Run | None:
        """Take the next run off the queues and execute it here.

        Parameters
        ----------
        queues : sequence of Queue
            In the order in which they are asked.
        whole : Room, optional
            What this process offers to all its runs together; without it, all there is.
        """
        offer = None if whole is None else Offer(left(whole, self._rooms.values()), whole)
        run = self.store.claim(queues, self.keeper.owner, os.environ, offer)
        if run is not None:
            self._start(run, adopted=False)
        return run

    def rescue(self, run: Run) -> None:
        """See to it that somebody executes the run: take it over from the dead, start an agent."""
        if run.state in OWNED and run.owner and known_dead(run.owner):
            self.keeper.sweep()
        elif run.state is State.PENDING and run.queue is not None:
            self._ensure_agent(run.queue, run.spec.needed_names)

    def sweep(self) -> None:
        """Take over all runs whose owner is gone, and clear away what ended ones left behind."""
        self.keeper.sweep()
        self.clear_leftovers()

    def clear_leftovers(self) -> None:
        """Clear away what ended runs left behind on this machine."""
        clear_leftovers(self.store, host_of(self.keeper.owner))

    def close(self) -> None:
        """Stop the threads. Runs go on; whoever looks next takes them over."""
        self._closed.set()
        for thread in list(self._threads):
            # What has ended is cleared away to the end, and what was built gets its agent: nobody
            # might look at it for long.
            with contextlib.suppress(StoreError):
                state = self.store.get(thread.run_id).state
                if state.terminal or state is State.PENDING:
                    thread.join(CLEAR_S)
        self.keeper.close()

    def _begun(self, run: Run, notices: Sequence[str]) -> RunHandle:
        self.newest = run.id
        for text in notices:
            self.store.append_event(run.id, "notice", {"text": text})
        if run.owner:
            self._start(run, adopted=False)
        else:
            self.rescue(run)
        return RunHandle(self, run.id)

    def _start(self, run: Run, *, adopted: bool) -> None:
        claim = self.keeper.hold(run, adopted=adopted)
        if claim is None:
            return
        if run.queue:
            self._rooms[run.id] = run.room

        def body() -> None:
            try:
                execute(self.store, run, self.keeper.owner, claim, self.allow)
                with contextlib.suppress(StoreError):
                    self._after(run)
            finally:
                self._rooms.pop(run.id, None)
                self.keeper.release(run.id)
                self.on_free()
                # Nobody waits for it: the next run is on its way already.
                with contextlib.suppress(StoreError):
                    clear(self.store, run.id, host_of(self.keeper.owner))
                self._threads.discard(thread)

        thread = _Executing(run.id, body)
        self._threads.add(thread)
        thread.start()

    def _after(self, run: Run) -> None:
        """See to what went back to its queue: for a retry, built, or because a backend is away."""
        now = self.store.find(run.id)
        if now is None or now.state is not State.PENDING:
            return
        if now.attempt != run.attempt:
            waits = self.store.events(run.id)[-1].data.get("retry_in", 0.0)
            self.due = max(self.due, time.monotonic() + waits)
        elif now.spec_json != run.spec_json:
            self.rescue(now)
        else:
            self._closed.wait(RETRY_S)

    def _ensure_agent(self, queue: Queue, secrets: Sequence[str]) -> None:
        agents = [agent for agent in self.store.agents() if agent.status == "running"]
        served = any(queue in agent.queues for agent in agents)
        if secrets:  # an agent has those of the process that started it, so it must be ours
            ours, names = self._agents.get(queue, (None, frozenset[str]()))
            served = ours is not None and ours.poll() is None and names.issuperset(secrets)
        asked = time.monotonic() - self._asked_for_agent.get(queue, float("-inf"))
        if not served and (secrets or asked > AGENT_IDLE_S / 2):
            self._asked_for_agent[queue] = time.monotonic()
            self._agents[queue] = start_agent(self.store, queue), frozenset(os.environ)


class _Executing(threading.Thread):
    """Executes a run, and then clears away what it left."""

    def __init__(self, run_id: str, body: Callable[[], None]) -> None:
        super().__init__(target=body, name=f"launch-{run_id}", daemon=True)
        self.run_id = run_id


_launchers: dict[str, Launcher] = {}
_launchers_lock = threading.Lock()


def launcher(url: str | None = None) -> Launcher:
    """Give this process's launcher for a store, made on first use.

    Parameters
    ----------
    url : str, optional
        The store; default: the setting ``store``.
    """
    url = url or setting("store").value
    assert url is not None
    with _launchers_lock:
        if url not in _launchers:
            _launchers[url] = Launcher(open_store(url))
        return _launchers[url]


@atexit.register
def close_all() -> None:
    """End the threads of this process's launchers. Runs go on."""
    with _launchers_lock:
        for made in _launchers.values():
            made.close()
        _launchers.clear()


def _refuse_queue(spec: LaunchSpec) -> None:
    asked = {
        "queue": spec.queue,
        "priority": None if spec.priority == MEDIUM else spec.priority,
        "template_variables": dict(spec.template_variables) or None,
    }
    for field, given in asked.items():
        if given is not None:
            raise SpecError(
                f"A launch now takes no {field.replace('_', ' ')} ({given!r}): it waits for "
                "nobody.",
                hint="To put it on a queue: launch_add, %launch_add or jupyter launch add.",
                field=field,
            )


def start_agent(store: Store, queue: Queue) -> subprocess.Popen[bytes]:
    """Start an agent for a queue: a process of its own that outlives this one.

    It ends by itself when it has had nothing to do for `AGENT_IDLE_S` seconds. What it says goes
    to ``agent.log`` in Jupyter's data folder. Where only this user can put anything on a queue, it
    does what this user may.
    """
    folder = Path(jupyter_data_dir()) / "jupyter_launch"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Joined by "=", a name may begin with a dash.
    command = [sys.executable, "-m", "jupyter_launch", "agent", f"--queue={queue.name}"]
    command += [f"--entity={queue.entity}", f"--idle={AGENT_IDLE_S}"]
    command += ["--trusted"] if store.private else []
    log = os.open(folder / "agent.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            command,
            env={**os.environ, variable("store"): store.address},  # it may hold a password
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=folder,
        )
    finally:
        os.close(log)
