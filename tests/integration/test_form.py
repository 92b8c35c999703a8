"""The form in a real kernel: shown at once, and the kernel stays free whatever the store does."""

from __future__ import annotations

from tests.kernels import Kernel, kernel

LOAD = "%load_ext jupyter_launch"
SLOW = """
import threading
from jupyter_launch.stores.sqlite import SQLiteStore

go = threading.Event()
asked = threading.Event()

def slow(verb):
    def wait(*args, **given):
        asked.set()
        assert go.is_set() or threading.current_thread() is not threading.main_thread()
        go.wait(60)
        return verb(*args, **given)
    return wait

for name in ("agents", "queues", "queue", "runs", "jobs", "submit", "find", "get"):
    setattr(SQLiteStore, name, slow(getattr(SQLiteStore, name)))
"""


def shown(made: Kernel, code: str) -> list[str]:
    """Run a cell and name the kinds of data that it displays."""
    messages = [m for m in made.run(code) if m["msg_type"] == "display_data"]
    assert made.reply["status"] == "ok", made.reply
    return [kind for message in messages for kind in message["content"]["data"]]


def test_the_magic_and_the_function_show_a_form() -> None:
    with kernel(live=True) as made:
        made.run(LOAD)
        for code in ("%launch_form -d busybox", "import jupyter_launch as j\nj.launch_form()"):
            kinds = shown(made, code)
            assert "application/vnd.jupyter.widget-view+json" in kinds
            assert "text/plain" in kinds


def test_a_slow_store_never_stops_the_kernel() -> None:
    with kernel(live=True) as made:
        made.run(LOAD)
        made.run("%launch_form -o warm")
        made.run(SLOW)
        made.run("%%launch_form -r local-process -o form\nprint('hello')")
        assert made.value("print(asked.wait(60))") is True
        made.run("form.view.buttons['launch'].click(); form.view.buttons['launch'].click()")
        assert made.value("print(form.view.buttons['launch'].disabled)") is True
        made.run("form.fields['name'].input.value = 'typed meanwhile'")
        made.run("go.set()\nform.wait(60)")
        made.run("(run,) = form.submissions.runs")
        assert made.reply["status"] == "ok"
        assert made.text("print(run.wait(), run.logs())") == "finished hello\n\n"


def test_a_run_and_its_id_fill_a_form() -> None:
    with kernel() as made:
        made.run(LOAD)
        made.run("%%launch -r local-process --set lr=0.1 -o run\nprint('hello')")
        made.run("%launch_form $run -o form")
        made.run("form.fields['overrides.run_config'].set('lr', '0.2')\nnew = form.launch()")
        assert made.reply["status"] == "ok", made.reply
        assert made.value("print((new.run.parent == run.id, new.run.spec.overrides.run_config))")
        expected = (True, {"lr": 0.2})
        code = "print((new.run.parent == run.id, dict(new.run.spec.overrides.run_config)))"
        assert made.value(code) == expected
        assert made.text("print(new.wait())") == "finished\n"


def test_the_last_launch_of_a_cell_fills_its_form() -> None:
    with kernel(live=True) as made:
        made.run(LOAD)
        made.run(
            "from jupyter_launch.frontends.form import Form\n"
            "from jupyter_launch.frontends.form_start import Start\n"
            "where = {'notebook': 'a.ipynb', 'cell': 'one'}\n"
            "first, second, other = (Form({}, w) for w in (where, where, {'cell': 'two'}))\n"
            "first.begin(Start(values={'kind': 'cell', 'cell': 'print(1)', 'name': 'first',"
            " 'resource': 'local-process'}))\n"
            "run = first.launch()\n"
            "for form in (second, other):\n"
            "    form.begin(Start()); form.look(); form.wait()"
        )
        assert made.reply["status"] == "ok", made.reply
        said = made.value("print([form.fields['name'].read() for form in (second, other)])")
        assert said == ["first", None]
        origin = made.text("print(second.fields['name'].said('origin'))")
        assert origin.startswith("from this cell's last launch, run ")
        assert made.text("print(run.wait())") == "finished\n"


def test_help_and_wrong_options() -> None:
    with kernel() as made:
        made.run(LOAD)
        assert "%launch_form" in made.text("%launch_form --help")
        assert made.error("%launch_form --quue x").startswith("UsageError: ")
        assert "Did you mean --queue" in made.error("%launch_form --quue x")
