"""The magics in real kernels: live ones, as a browser drives them, and ones nobody watches."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_launch.states import State
from jupyter_launch.stores.base import Store
from tests.conftest import PYTHON, TINY
from tests.kernels import Kernel, kernel
from tests.proofs import proves

CARD = "application/vnd.jupyter-launch.run.v1+json"
SLOW = "import time\nprint('begun', flush=True)\ntime.sleep(60)"


@pytest.fixture
def live() -> Iterator[Kernel]:
    """Give a kernel whose output somebody watches, with the extension loaded."""
    with kernel(live=True) as made:
        made.run("%load_ext jupyter_launch\n%config LaunchMagics.resource = 'local-process'")
        yield made


@pytest.fixture
def headless() -> Iterator[Kernel]:
    """Give a kernel nobody watches, with the extension loaded."""
    with kernel() as made:
        made.run("%load_ext jupyter_launch\n%config LaunchMagics.resource = 'local-process'")
        yield made


def test_loading_is_silent_and_may_be_done_twice() -> None:
    with kernel(live=True) as fresh:
        assert fresh.run("%load_ext jupyter_launch") == []
        assert fresh.run("%reload_ext jupyter_launch") == []
        kinds = "[type(c).__name__ for c in get_ipython().configurables]"
        assert fresh.value(f"print({kinds}.count('LaunchMagics'))") == 1


def test_unloading_ends_the_threads_and_takes_the_magics_away(live: Kernel) -> None:
    live.run("%%launch --wait\npass")
    threads = "print([t.name for t in __import__('threading').enumerate() if 'launch' in t.name])"
    assert "launch-lease" in live.value(threads)
    assert live.run("%unload_ext jupyter_launch") == []
    assert live.value(threads) == []
    assert "not found" in live.text("%launch") + live.error("%launch")


def test_a_live_launch_returns_at_once_with_one_output(live: Kernel) -> None:
    messages = live.run(f"%%launch -o run\n{SLOW}")
    shown = [m["content"]["data"] for m in messages if m["msg_type"] == "display_data"]
    assert [m["msg_type"] for m in messages if m["msg_type"] in {"stream", "execute_result"}] == []
    (bundle,) = shown
    assert {CARD, "text/html", "text/plain"} < set(bundle)
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert live.value("print(run.status.terminal)") is False
    assert live.text("print(run.stop())") == "stopped\n"


def test_the_record_takes_the_place_of_the_live_view_when_the_run_ends(
    live: Kernel, store: Store
) -> None:
    live.client.execute("%%launch -o run\nprint('done ' + 'here')")
    message = live.client.get_iopub_msg(timeout=30)
    while message["msg_type"] != "update_display_data":
        message = live.client.get_iopub_msg(timeout=30)
    data = message["content"]["data"]
    assert set(data) == {CARD, "text/html", "text/plain"}
    assert data[CARD]["state"] == "finished"
    assert all("done here" in data[mime] for mime in ("text/html", "text/plain"))


def test_without_a_viewer_a_launch_blocks_and_prints_the_log(headless: Kernel) -> None:
    text = headless.text(
        "%%launch\nimport sys\nsys.stdout.write('out\\n')\nsys.stderr.write('err\\n')"
    )
    assert "out\n" in text
    assert "err\n" in text
    assert "finished" in text.splitlines()[-1]


def test_a_failed_run_fails_the_cell_with_its_last_lines(headless: Kernel) -> None:
    error = headless.error("%%launch\nprint('almost')\nraise SystemExit(3)")
    assert error.startswith("ExecutionError: Run ")
    assert "exit code 3" in error
    assert "almost" in error
    assert "jupyter launch logs" in error


def test_wait_fails_the_cell_in_a_live_notebook_too(live: Kernel) -> None:
    assert "exit code 4" in live.error("%%launch --wait\nraise SystemExit(4)")


def test_interrupting_a_waiting_cell_stops_the_run(live: Kernel, store: Store) -> None:
    message = live.client.execute(f"%%launch --wait -n waited\n{SLOW}")
    with store.listen("queue") as listener:
        while not (runs := store.runs(states=[State.RUNNING])):
            listener.wait(0.1)
    live.manager.interrupt_kernel()
    reply = live.client.get_shell_msg(timeout=30)
    while reply["parent_header"].get("msg_id") != message:
        reply = live.client.get_shell_msg(timeout=30)
    assert reply["content"]["ename"] == "RunStopped"
    assert store.get(runs[0].id).state is State.STOPPED


@proves("--config")
def test_the_run_config_reaches_the_program(headless: Kernel) -> None:
    Path("more.yaml").write_text("lr: 9\nlayers: [1, 2]\n")
    headless.run("mine = {'lr': 0.5, 'name': 'x'}")
    body = "import os\nprint('config', os.environ['WANDB_CONFIG'])"

    def config(options: str) -> object:
        lines = headless.text(f"%%launch {options}\n{body}").splitlines()
        return json.loads(next(line for line in lines if line.startswith("config"))[7:])

    assert config("--set lr=0.1 epochs=5 tag=v1") == {"lr": 0.1, "epochs": 5, "tag": "v1"}
    assert config("--config more.yaml --set lr=1e-4") == {"lr": 1e-4, "layers": [1, 2]}
    assert config("--config $mine") == {"lr": 0.5, "name": "x"}
    assert config("""-c '{"a": {"b": null}}'""") == {"a": {"b": None}}


@proves("--secret")
def test_a_secret_reaches_the_program_and_nothing_else(
    headless: Kernel, store: Store, tmp_path: Path
) -> None:
    value = "s3cr3t-" + "value" * 3
    headless.run(f"import os\nos.environ['MY_TOKEN'] = {value!r}")
    body = "import os, hashlib\nprint(len(os.environ['MY_TOKEN']))"
    text = headless.text(f"%%launch --secret MY_TOKEN\n{body}")
    assert f"\n{len(value)}\n" in text
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and "work" not in path.parts]
    assert kept
    assert [path for path in kept if value.encode() in path.read_bytes()] == []


def test_a_missing_secret_is_refused_before_anything_is_recorded(
    headless: Kernel, store: Store
) -> None:
    text = headless.error("%%launch --secret NO_SUCH_SECRET\npass")
    assert text.startswith("UsageError: The secret NO_SUCH_SECRET is not in the environment")
    assert "os.environ['NO_SUCH_SECRET'] = getpass.getpass()" in text
    assert store.runs() == []


def test_names_and_owner_are_recorded_and_given_to_the_program(
    headless: Kernel, store: Store
) -> None:
    body = "import os\nprint({k: v for k, v in os.environ.items() if k.startswith('WANDB_')})"
    options = "-n my-run -e team -p proj --env A=1 'B=two words'"
    text = headless.text(f"%%launch {options}\n{body}")
    (run,) = store.runs()
    assert (run.name, run.entity, run.project) == ("my-run", "team", "proj")
    assert run.spec.env == {"A": "1", "B": "two words"}
    for name, value in [("NAME", "my-run"), ("ENTITY", "team"), ("PROJECT", "proj")]:
        assert f"'WANDB_{name}': '{value}'" in text
    assert f"'WANDB_RUN_ID': '{run.id}'" in text
    assert "'WANDB_LAUNCH': 'True'" in text


def test_a_script_with_arguments_and_a_folder_with_main(headless: Kernel) -> None:
    Path("s.py").write_text("import sys; print('args', sys.argv[1:])")
    Path("pkg").mkdir()
    Path("pkg/main.py").write_text("import other; print('main', other.X)")
    Path("pkg/other.py").write_text("X = 42")
    assert "args ['a b', '--flag', '$HOME']" in headless.text(
        "%launch s.py -- 'a b' --flag '$$HOME'"
    )
    assert "main 42" in headless.text("%launch pkg")


def test_a_shebang_chooses_the_interpreter_and_included_files_come_along(headless: Kernel) -> None:
    Path("data").mkdir()
    Path("data/x.txt").write_text("included\n")
    assert "included" in headless.text("%%launch --include data\n#!/bin/sh\ncat data/x.txt")


def test_a_spec_in_the_cell(headless: Kernel) -> None:
    spec = "source: {kind: cell, body: 'print(6 * 7)'}\nresource: local-process\nname: from-yaml"
    assert "42" in headless.text(f"%%launch --spec\n{spec}")


def test_dry_run_shows_the_spec_and_the_program_and_records_nothing(
    headless: Kernel, store: Store
) -> None:
    text = headless.text("%%launch --dry-run --set lr=0.1\nprint('never')")
    assert "run_config:\n      lr: 0.1" in text
    assert "- cell.py" in text
    assert store.runs() == []


def test_help_shows_every_option(headless: Kernel) -> None:
    text = headless.text("%launch --help")
    for flag in ("--docker-image", "--secret", "--dry-run", "--set", "--no-wait", "-o, --out NAME"):
        assert flag in text
    reply = headless.client.inspect("%launch", reply=True, timeout=30)
    assert "--docker-image" in reply["content"]["data"]["text/plain"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--dockerimage x", "there is no option '--dockerimage'.\nDid you mean --docker-image?"),
        ("-d a -j e/p/n:v1", "Exactly one of job and docker_image can be launched, and both were"),
        ("", "There is nothing to launch"),
        ("nowhere.py", "There is no script or folder 'nowhere.py' in "),
        ("-d x -r local-contaner", "There is no resource 'local-contaner'.\nDid you mean"),
        ("-d x --config nope.yaml", "--config: the file 'nope.yaml' cannot be read: No such file"),
        ("-d x --config '{a: [}'", "--config is no YAML or JSON:"),
        ("-d x --config $missing", "There is no variable 'missing' in this notebook."),
        ("-d x --set lr", "--set takes NAME=VALUE, not 'lr'."),
        ("-d x -P soon", "--priority takes critical, high, medium, low (or 0 to 3), not 'soon'."),
        ("-d 'x", "%launch: No closing quotation"),
        ("-u nowhere/at/all", "nowhere/at/all"),
        ("-j e/p/n:v1", "There is no job 'e/p/n'."),
        ("-d x --requirements 'numpy=1'", "numpy=1"),
        ("-d x --requirements numpy -r local-process", "requirements needs a container, and"),
        ("-d x --build", "build has no effect on an image that is launched as it is."),
        ("-d x -q gpu", "A launch now takes no queue ('gpu'): it waits for nobody.\nTo put it on"),
        ("-d x -v n=1", "A launch now takes no template variables ({'n': 1}): it waits for"),
        ("-d x --run-id a/b", "run_id: a run id is 1 to 64 letters"),
        ("-d x -R '{memory: 2g}'", "resource_args.memory"),
    ],
)
def test_a_wrong_line_is_refused_in_one_clear_message(
    wrong: Kernel, store: Store, line: str, said: str
) -> None:
    error = wrong.error(f"%launch {line}")
    assert error.startswith("UsageError: ")
    assert said in error
    assert store.runs() == []


@pytest.fixture(scope="module")
def wrong_kernel() -> Iterator[Kernel]:
    with kernel(live=True) as made:
        made.run("%load_ext jupyter_launch")
        yield made


@pytest.fixture
def wrong(wrong_kernel: Kernel) -> Kernel:
    """Give a kernel shared by the tests of bad lines, looking at this test's store and folder."""
    wrong_kernel.run(
        f"%cd -q {Path.cwd()}\n%config LaunchMagics.store = {os.environ['JUPYTER_LAUNCH_STORE']!r}"
    )
    return wrong_kernel


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("%%launch\n \n", "The cell is empty: there is nothing to launch."),
        ("%%launch\nprint('a'\n", "Line 1 of the cell is not Python: "),
        ("%%launch\n!ls\n", "Magics and !commands do not work in a launched cell"),
        ("%%launch --include no.csv\npass", "There is no file or folder 'no.csv' to include in "),
        ("%%launch script.py\npass", "A cell and a path ('script.py') cannot be launched together"),
        ("%%launch --spec\ndocker: {dokcer_image: x}", "Did you mean 'docker_image'?"),
        ("%%launch --spec\n- a\n- b", "The cell must be a mapping of names to values"),
    ],
)
def test_a_wrong_cell_is_refused_in_one_clear_message(
    wrong: Kernel, store: Store, cell: str, said: str
) -> None:
    error = wrong.error(cell)
    assert error.startswith("UsageError: ")
    assert said in error
    assert store.runs() == []


def test_an_unknown_queue_is_named_with_the_ones_there_are(wrong: Kernel, store: Store) -> None:
    error = wrong.error("%launch_add -d x -q gpu -e me")
    assert error.startswith("QueueNotFound: There is no queue 'gpu' of 'me'.")
    assert "jupyter launch queue create gpu -e me" in error
    assert store.runs() == []


def test_launch_add_starts_an_agent_by_itself_and_shows_the_run(
    headless: Kernel, store: Store
) -> None:
    text = headless.text("%%launch_add -n queued -P high\nprint('from the ' + 'queue')")
    assert "from the queue" in text
    (run,) = store.runs()
    assert (run.state, run.queue.name if run.queue else "", run.priority) == (
        "finished",
        "default",
        1,
    )
    (agent,) = store.agents()
    subprocess.run([sys.executable, "-m", "jupyter_launch", "agent", "--json"], check=True)
    os.kill(int(agent.owner.split(":")[2]), 15)


def test_key_like_literals_warn_and_are_nowhere_shown(headless: Kernel, store: Store) -> None:
    key = "sk-" + "aB3dE6gH9jK2mN5pQ8sT1vW4"
    text = headless.text(f"%%launch --env OPENAI_API_KEY={key} -n named\nprint('ran')")
    assert "env.OPENAI_API_KEY looks like a secret" in text
    assert "--secret OPENAI_API_KEY" in text
    assert key not in text
    assert key not in headless.text(f"%%launch --dry-run --env OPENAI_API_KEY={key}\npass")
    for command in (["list"], ["list", "--json"], ["show", store.runs()[0].id]):
        shown = subprocess.check_output(
            [sys.executable, "-m", "jupyter_launch", *command], text=True
        )
        assert key not in shown


@proves("--env")
def test_text_of_every_kind_arrives_verbatim(headless: Kernel) -> None:
    odd = 'a\'b "c" ; $(id) `id` \\n {x} | & > <'
    headless.run(f"odd = {odd!r}\nnested = {{'k;$(id)': odd}}")
    body = "import os, sys\nprint(sys.argv[1:], os.environ['X'], os.environ['WANDB_CONFIG'])"
    Path("show.py").write_text(body)
    text = headless.text("%launch show.py --env X=$odd --config $nested -n $odd -- $odd 'new line'")
    assert str([odd, "new line"]) in text
    assert json.dumps({"k;$(id)": odd}) in text
    assert f" {odd} " in text
    assert "uid=" not in text


@pytest.mark.docker
def test_a_cell_runs_in_a_container_of_the_kernels_python_by_default(store: Store) -> None:
    with kernel() as made:
        made.run("%load_ext jupyter_launch")
        text = made.text(
            "%%launch\nimport sys, os\nprint(sys.version_info[:2], os.path.exists('/.dockerenv'))"
        )
    (run,) = store.runs()
    assert run.resource == "local-container"
    assert f"{sys.version_info[:2]} True" in text


@pytest.mark.docker
def test_auto_falls_back_to_a_process_with_one_notice(store: Store) -> None:
    with kernel() as made:
        made.run("%load_ext jupyter_launch")
        text = made.text("%%launch -d no-such-image:1\nprint('here')")
        assert text.count("runs as a process on this machine instead") == 1
        assert "no-such-image:1" in text
        made.run("import os\nos.environ['DOCKER_HOST'] = 'unix:///nowhere.sock'")
        assert "does not answer" in made.text("%%launch\nprint('there')")
    assert {run.resource for run in store.runs()} == {"local-process"}


@pytest.mark.docker
def test_an_image_with_entry_point_and_arguments(store: Store) -> None:
    with kernel() as made:
        made.run("%load_ext jupyter_launch")
        assert "\nwords: a b|; $x\n" in made.text(
            f"%launch -d {TINY} -E 'echo words:' -- 'a b|;' $$x"
        )
        assert "No container" not in made.text(f"%launch -d {PYTHON} -- python3 -c 'print(1)'")
