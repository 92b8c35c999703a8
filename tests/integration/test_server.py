"""The server extension in a real Jupyter server: who may what, mistakes, logs, live pages."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import websocket
import yaml

from jupyter_launch.frontends.server import PREFIX
from jupyter_launch.frontends.server_routes import DESCRIPTION, ROUTES
from jupyter_launch.redact import REDACTED
from jupyter_launch.states import State
from jupyter_launch.stores.base import Store
from tests.jupyter_server import JupyterServer, Page, cell, end_runs, recorded, serving

VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
TOKEN = "sk-Qm8dkLw03hfXa94jTbVe72"

AUTHORIZER = '''
from pathlib import Path
from jupyter_server.auth import Authorizer

class Listed(Authorizer):
    """Allows what a file lists."""

    def is_authorized(self, handler, user, action, resource):
        assert resource == "jupyter_launch", resource
        return action in Path("allowed.txt").read_text().split()
'''


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    """Give a server with the settings it has by itself."""
    yield from serving(tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    """Give a server below a prefix, as on a hub, where every route must ask who it is."""
    settings = "--ServerApp.allow_unauthenticated_access=False"
    yield from serving(tmp_path_factory.mktemp("strict"), settings, base_url="/user/x/")


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    """Give a server whose authorizer allows what a file lists."""
    root = tmp_path_factory.mktemp("listed")
    (root / "listed.py").write_text(AUTHORIZER)
    (root / "allowed.txt").write_text("read write execute")
    yield from serving(root, "--ServerApp.authorizer_class=listed.Listed")


@pytest.fixture
def client(server: JupyterServer) -> Iterator[requests.Session]:
    """Give a client of the server that may everything."""
    with server.session() as made:
        yield made


@pytest.fixture
def served(server: JupyterServer) -> Iterator[Store]:
    """Give the store the server serves, opened here as well."""
    store = server.store()
    yield store
    store.close()


def until(
    client: requests.Session, server: JupyterServer, run_id: str, end: Callable[[Any], bool]
) -> dict[str, Any]:
    """Wait until something holds for a run's record, as told by the server, and give it."""
    with server.stream() as page:
        page.say(t="watch", v="until", run=run_id, have=0)
        while True:
            record = page.hear(t="live")[0].get("record")
            if record is not None and end(record):
                return dict(record)


def ended(record: Any) -> bool:
    return bool(record["terminal"])


# -- who may ---------------------------------------------------------------------------------------


def addresses() -> list[str]:
    """Name every address there is, and one there is not."""
    paths = [path.replace("{id}", "abcdefgh").replace("{queue}", "gpu") for path in ROUTES]
    return [*paths, "stream", "", "nothing/of/the/kind"]


@pytest.mark.parametrize("which", ["server", "strict"])
def test_strangers_are_turned_away_from_every_route_and_verb(
    which: str, request: pytest.FixtureRequest
) -> None:
    server: JupyterServer = request.getfixturevalue(which)
    with requests.Session() as stranger:
        stranger.trust_env = False
        for token in ("", "token nonsense"):
            found = {
                (verb, path): stranger.request(
                    verb, server.api + path, headers={"Authorization": token}, timeout=30
                ).status_code
                for path in addresses()
                for verb in VERBS
            }
            assert {
                case: status for case, status in found.items() if status not in {401, 403}
            } == {}
        # What browsers ask before a request from elsewhere tells nothing of anybody's.
        asked = [stranger.options(server.api + path, timeout=30) for path in addresses()]
        assert {answer.text for answer in asked if answer.status_code != 403} == {""}


@pytest.mark.parametrize("which", ["server", "strict"])
def test_strangers_get_no_websocket(which: str, request: pytest.FixtureRequest) -> None:
    server: JupyterServer = request.getfixturevalue(which)
    for header in ({}, {"Authorization": "token nonsense"}):
        with pytest.raises(websocket.WebSocketBadStatusException) as caught:
            server.stream(header=header)
        assert caught.value.status_code == 403


def test_no_route_is_without_authentication(strict: JupyterServer) -> None:
    assert strict.session().get(f"{strict.api}store", timeout=30).ok
    assert "Extension endpoints without" not in strict.log


def test_an_authorizer_that_forbids_changes_leaves_reading(listed: JupyterServer) -> None:
    store = listed.store()
    run = recorded(store, b"hello\n")
    changes: dict[str, list[tuple[str, dict[str, Any]]]] = {
        "write": [(f"runs/{run.id}/stop", {}), ("queues", {"name": "forbidden"})],
        "execute": [("runs", {"spec": cell("print(1)")}), (f"runs/{run.id}/relaunch", {})],
    }
    allowed = listed.root / "allowed.txt"
    with listed.session() as client:
        for actions in ("read", "read write", "read execute"):
            allowed.write_text(actions)
            assert client.get(f"{listed.api}runs/{run.id}/log", timeout=30).text == "hello\n"
            for action, posts in changes.items():
                for path, body in posts:
                    answer = client.post(listed.api + path, json=body, timeout=30)
                    assert (answer.status_code == 403) == (action not in actions), (actions, path)
                    assert answer.json().get("message") or answer.ok
            with listed.stream() as page:
                page.hear(t="welcome")
        allowed.write_text("write execute")
        assert client.get(f"{listed.api}runs", timeout=30).status_code == 403
        assert client.get(f"{listed.api}openapi.yaml", timeout=30).status_code == 403
        with pytest.raises(websocket.WebSocketBadStatusException) as caught:
            listed.stream()
        assert caught.value.status_code == 403
    store.close()


def test_a_login_by_cookie_needs_the_xsrf_token_to_change_something(
    server: JupyterServer, served: Store
) -> None:
    run = recorded(served)
    with server.browser_session() as browser:
        posts = ["runs", "queues", f"runs/{run.id}/stop", f"runs/{run.id}/relaunch"]
        refused = [browser.post(server.api + path, json={}, timeout=30) for path in posts]
        assert {answer.status_code for answer in refused} == {403}
        assert all("_xsrf" in answer.json()["message"] for answer in refused)
        forged = {"X-XSRFToken": "2|deadbeef|deadbeef|1"}
        stop = f"{server.api}runs/{run.id}/stop"
        assert browser.post(stop, json={}, headers=forged, timeout=30).status_code == 403
        shown = {"X-XSRFToken": browser.cookies["_xsrf"]}
        assert browser.post(stop, json={}, headers=shown, timeout=30).ok
        assert browser.get(f"{server.api}runs/{run.id}", timeout=30).ok


def test_another_site_gets_nothing_with_the_cookie_of_a_login(server: JupyterServer) -> None:
    with server.browser_session() as browser:
        elsewhere = {"Origin": "http://elsewhere.example"}
        assert not browser.get(f"{server.api}runs", headers=elsewhere, timeout=30).ok
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        with pytest.raises(websocket.WebSocketBadStatusException) as caught:
            server.stream(header={"Cookie": cookie}, origin="http://elsewhere.example")
        assert caught.value.status_code == 403
        own = f"http://127.0.0.1:{server.port}"
        with server.stream(header={"Cookie": cookie}, origin=own) as page:
            page.hear(t="welcome")


# -- what it says ----------------------------------------------------------------------------------


def test_the_description_is_that_of_the_routes() -> None:
    described = yaml.safe_load(DESCRIPTION.read_text(encoding="utf-8"))["paths"]
    verbs = {"get", "head", "post", "put", "patch", "delete"}
    assert {path.strip("/"): sorted(verbs & said.keys()) for path, said in described.items()} == {
        path: sorted(verb.lower() for verb in handler.verbs() if verb != "OPTIONS")
        for path, handler in ROUTES.items()
    }


def test_the_description_is_served(server: JupyterServer, client: requests.Session) -> None:
    answer = client.get(f"{server.api}openapi.yaml", timeout=30)
    assert answer.headers["Content-Type"] == "application/yaml"
    assert answer.content == DESCRIPTION.read_bytes()


def test_it_works_below_a_prefix(strict: JupyterServer) -> None:
    store = strict.store()
    run = recorded(store, b"hello\n")
    with strict.session() as client:
        assert strict.api.endswith("/user/x/jupyter-launch/api/")
        assert client.get(f"{strict.api}runs/{run.id}/log", timeout=30).text == "hello\n"
        outside = f"http://127.0.0.1:{strict.port}/{PREFIX}/store"
        assert client.get(outside, timeout=30).status_code == 404
    with strict.stream() as page:
        assert page.hear(t="welcome")[0]["store"] == store.id
    store.close()


MISTAKES = [
    ("GET", "nothing", None, 404),
    ("GET", "runs/", None, 404),
    ("PUT", "runs", None, 405),
    ("POST", "store", "{}", 405),
    ("DELETE", "runs/abcdefgh", None, 405),
    ("GET", "runs/abcdefgh", None, 404),
    ("GET", "runs/%2e%2e%2fetc", None, 404),
    ("GET", "runs/a%20b/log", None, 404),
    ("GET", f"runs/{'x' * 5000}", None, 404),
    ("GET", "runs/%00/events", None, 404),
    ("GET", "runs/%ff", None, 400),
    ("POST", "runs/abcdefgh/stop", "{}", 404),
    ("POST", "runs/abcdefgh/relaunch", None, 404),
    ("GET", "runs?limit=0", None, 400),
    ("GET", "runs?limit=1001", None, 400),
    ("GET", "runs?limit=ten", None, 400),
    ("GET", "runs?limit=1&limit=2", None, 400),
    ("GET", "runs?state=happy", None, 400),
    ("GET", "runs?sort=up", None, 400),
    ("GET", "runs?queue=%00", None, 400),
    ("GET", "runs?queue=%ff", None, 400),
    ("GET", "runs?queue=nowhere", None, 404),
    ("GET", "queues?a=b", None, 400),
    ("POST", "runs", None, 400),
    ("POST", "runs", "{", 400),
    ("POST", "runs", "\xff", 400),
    ("POST", "runs", "[" * 100_000, 400),
    ("POST", "runs", "[]", 400),
    ("POST", "runs", "{}", 400),
    ("POST", "runs", '{"spec": 1}', 400),
    ("POST", "runs", '{"spec": {}}', 400),
    ("POST", "runs", '{"spec": {"nonsense": 1}}', 400),
    ("POST", "runs", '{"spec": {"docker": {"docker_image": 7}}}', 400),
    ("POST", "runs", '{"spec": {"docker": {"docker_image": "a"}, "resource": "moon"}}', 400),
    ("POST", "runs", '{"spec": {"docker": {"docker_image": "a"}, "priority": NaN}}', 400),
    ("POST", "runs", '{"spec": {"docker": {"docker_image": "\\ud800"}}}', 400),
    ("POST", "runs", '{"spec": {"docker": {"docker_image": "a"}}, "add": "yes"}', 400),
    ("POST", "runs", '{"spec": {"docker": {"docker_image": "a"}}, "now": true}', 400),
    ("POST", "runs", '{"spec": {"docker": {"docker_image": "a"}, "queue": "q"}}', 400),
    ("POST", "runs", '{"spec": {"docker": {"docker_image": "a"}, "queue": "q"}, "add": true}', 404),
    ("POST", "runs", '{"spec": {"job": "a/b/c:d"}}', 400),
    ("POST", "runs", '{"spec": "' + "x" * 5_000_000 + '"}', 413),
    ("POST", "queues", "{}", 400),
    ("POST", "queues", '{"name": ""}', 400),
    ("POST", "queues", '{"name": "a\\u0000b"}', 400),
    ("POST", "queues", '{"name": " a "}', 400),
    ("POST", "queues", '{"name": "a", "resource": "moon"}', 400),
    ("POST", "queues", '{"name": "a", "config": {"resource_args": []}}', 400),
    ("POST", "queues", '{"name": "a", "config": {"resource_args": {"moon": {}}}}', 400),
]


@pytest.mark.parametrize(("verb", "path", "body", "status"), MISTAKES)
def test_a_mistake_is_told_and_is_no_failure_of_the_server(
    server: JupyterServer, client: requests.Session, verb: str, path: str, body: str, status: int
) -> None:
    data = None if body is None else body.encode("latin-1")
    answer = client.request(verb, server.api + path, data=data, timeout=30)
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    said = answer.json()
    assert said["message"]
    assert said.keys() == {"message", "hint", "error"}
    assert ("Allow" in answer.headers) == (status == 405)
    assert "Traceback" not in server.log


RUN_MISTAKES = [
    "?a=b",
    "/events?after=-1",
    "/lines?first=-1",
    "/lines?count=0",
    "/lines?count=5001",
    "/lines?first=99999999999999999999",
    "/find",
    "/find?text=",
    "/find?text=(&regex=1",
    "/find?text=a&case=perhaps",
    "/samples?after=nan",
    "/samples?after=-1",
    "/copy",
    "/copy?as=poem",
    "/log?download=perhaps",
    "/bundle?x=1",
]


def test_mistakes_about_a_run_are_told(
    server: JupyterServer, client: requests.Session, served: Store
) -> None:
    run = recorded(served, b"a\n")
    for path in RUN_MISTAKES:
        answer = client.get(f"{server.api}runs/{run.id}{path}", timeout=30)
        assert (path, answer.status_code) == (path, 400), answer.text
        assert answer.json()["message"]
    assert "Traceback" not in server.log


def test_what_jupyterlab_adds_to_addresses_is_no_mistake(
    server: JupyterServer, client: requests.Session
) -> None:
    address = f"{server.api}runs?limit=1&1795310662958&no_track_activity=1&token={server.token}"
    assert client.get(address, timeout=30).ok


# -- runs ------------------------------------------------------------------------------------------


def test_a_run_is_launched_watched_and_launched_again(
    server: JupyterServer, client: requests.Session
) -> None:
    body = "import json, os\nprint(json.loads(os.environ['WANDB_CONFIG']))"
    spec = cell(body, name="first", overrides={"run_config": {"a": 1, "b": 1}})
    answer = client.post(f"{server.api}runs", json={"spec": spec}, timeout=30)
    assert answer.status_code == 201, answer.text
    first = answer.json()["id"]
    assert until(client, server, first, ended)["state"] == "finished"
    log = client.get(f"{server.api}runs/{first}/log", timeout=30)
    assert log.text == "{'a': 1, 'b': 1}\n"

    address = f"{server.api}runs/{first}/relaunch"
    second = client.post(address, json={"config": {"b": 2}}, timeout=30).json()
    assert second["parent"] == first
    until(client, server, second["id"], ended)
    log = client.get(f"{server.api}runs/{second['id']}/log", timeout=30)
    assert log.text == "{'a': 1, 'b': 2}\n"
    record = client.get(f"{server.api}runs/{second['id']}", timeout=30).json()
    assert [attempt["id"] for attempt in record["attempts"]] == [first, second["id"]]
    listed = client.get(f"{server.api}runs?limit=2", timeout=30).json()["runs"]
    assert [run["id"] for run in listed] == [second["id"], first]


def test_an_edited_spec_is_launched_with_what_was_redacted_in_it(
    server: JupyterServer, client: requests.Session, served: Store
) -> None:
    body = f"#!/bin/sh\nKEY={TOKEN}\necho ${{#KEY}} $WORD\n"
    run = recorded(served, source=cell(body)["source"], env={"WORD": "old"})
    shown = client.get(f"{server.api}runs/{run.id}/spec", timeout=30).json()["spec"]
    assert TOKEN not in json.dumps(shown)
    assert REDACTED in shown["source"]["body"]
    shown["env"]["WORD"] = "new"
    shown["source"]["body"] += "echo done\n"
    address = f"{server.api}runs/{run.id}/relaunch"
    again = client.post(address, json={"spec": shown}, timeout=30).json()
    assert until(client, server, again["id"], ended)["state"] == "finished"
    log = client.get(f"{server.api}runs/{again['id']}/log", timeout=30).text
    assert log == f"{len(TOKEN)} new\ndone\n"

    shown["env"]["OTHER"] = REDACTED
    answer = client.post(address, json={"spec": shown}, timeout=30)
    assert answer.status_code == 400
    assert "env.OTHER" in answer.json()["message"]


def test_a_run_is_stopped_and_a_stubborn_one_is_killed(
    server: JupyterServer, client: requests.Session
) -> None:
    stubborn = "#!/bin/sh\ntrap '' TERM\necho up\nwhile :; do sleep 0.1; done\n"
    spec = cell(stubborn, grace_s=600.0)
    run = client.post(f"{server.api}runs", json={"spec": spec}, timeout=30).json()
    with server.stream() as page:
        page.say(t="watch", v="a", run=run["id"], have=0)
        while b"up" not in page.hear(t="live")[1]:
            pass
    address = f"{server.api}runs/{run['id']}/stop"
    assert client.post(address, timeout=30).json()["stopping"]
    assert not client.get(f"{server.api}runs/{run['id']}", timeout=30).json()["terminal"]
    assert client.post(address, json={"kill": True}, timeout=30).json()["killing"]
    assert until(client, server, run["id"], ended)["state"] == "stopped"
    late = client.post(address, timeout=30)
    assert (late.status_code, late.json()["state"]) == (200, "stopped")


def test_queues_are_made_and_counted(
    server: JupyterServer, client: requests.Session, served: Store
) -> None:
    queue = {"entity": "team", "name": "nights", "resource": "local-process"}
    assert client.post(f"{server.api}queues", json=queue, timeout=30).status_code == 201
    assert client.post(f"{server.api}queues", json=queue, timeout=30).status_code == 409
    spec = cell("print(1)", entity="team", queue="nights", name="waits")
    answer = client.post(f"{server.api}runs", json={"spec": spec, "add": True}, timeout=30)
    assert answer.status_code == 201, answer.text
    run_id = answer.json()["id"]
    address = f"{server.api}runs?queue=nights&entity=team"
    assert [r["id"] for r in client.get(address, timeout=30).json()["runs"]] == [run_id]
    until(client, server, run_id, ended)
    queues = client.get(f"{server.api}queues", timeout=30).json()
    (found,) = [one for one in queues if one["name"] == "nights"]
    assert found.items() >= {**queue, "state": "running", "pending": 0, "running": 0}.items()
    agents = client.get(f"{server.api}agents", timeout=30).json()
    assert [{"entity": "team", "name": "nights"}] in [agent["queues"] for agent in agents]


def test_a_run_of_another_store_is_not_known_here(
    server: JupyterServer, client: requests.Session, store: Store
) -> None:
    run = recorded(store)
    assert client.get(f"{server.api}store", timeout=30).json()["id"] != store.id
    assert client.get(f"{server.api}runs/{run.id}", timeout=30).status_code == 404
    with server.stream() as page:
        page.say(t="watch", v="a", run=run.id, have=0)
        told, _ = page.hear(t="gone")
        assert (told["v"], told["run"]) == ("a", run.id)
        assert run.id in told["message"]


def test_the_answers_show_no_secret(
    server: JupyterServer, client: requests.Session, served: Store
) -> None:
    run = recorded(served, env={"API_TOKEN": TOKEN}, name=f"with {TOKEN}")
    served.append_event(run.id, "notice", {"text": f"look: {TOKEN}"})
    for path in ("", "/events", "/spec", "/bundle", "/copy?as=magic"):
        answer = client.get(f"{server.api}runs/{run.id}{path}", timeout=30)
        assert answer.ok, answer.text
        assert TOKEN not in answer.text
    assert TOKEN not in client.get(f"{server.api}runs", timeout=30).text


# -- logs ------------------------------------------------------------------------------------------


def test_a_log_is_sent_whole_and_in_parts(
    server: JupyterServer, client: requests.Session, served: Store
) -> None:
    log = os.urandom(3_500_000)
    run = recorded(served, log)
    address = f"{server.api}runs/{run.id}/log"
    whole = client.get(address, timeout=30)
    assert whole.content == log
    assert whole.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert whole.headers["X-Content-Type-Options"] == "nosniff"
    assert whole.headers["Accept-Ranges"] == "bytes"
    assert "Content-Disposition" not in whole.headers
    for asked, start, stop in [
        ("bytes=0-0", 0, 1),
        ("bytes=10-1499999", 10, 1_500_000),
        ("bytes=3000000-", 3_000_000, len(log)),
        ("bytes=-10", len(log) - 10, len(log)),
        (f"bytes=3499999-{10**12}", 3_499_999, len(log)),
    ]:
        part = client.get(address, headers={"Range": asked}, timeout=30)
        assert part.status_code == 206
        assert part.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(log)}"
        assert part.content == log[start:stop]
    size = client.head(address, timeout=30)
    assert (size.headers["Content-Length"], size.content) == (str(len(log)), b"")


@pytest.mark.parametrize(
    "asked", ["bytes=5-", "bytes=9-4", "bytes=a-b", "bytes=-", "bytes=0-1,3-4"]
)
def test_a_range_that_is_not_there_is_refused(
    server: JupyterServer, client: requests.Session, served: Store, asked: str
) -> None:
    run = recorded(served, b"hello")
    answer = client.get(f"{server.api}runs/{run.id}/log", headers={"Range": asked}, timeout=30)
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == "bytes */5"
    assert answer.json()["message"]


def test_a_range_in_another_unit_or_on_a_condition_is_the_whole(
    server: JupyterServer, client: requests.Session, served: Store
) -> None:
    address = f"{server.api}runs/{recorded(served, b'hello').id}/log"
    for headers in ({"Range": "lines=0-1"}, {"Range": "bytes=0-1", "If-Range": '"x"'}):
        answer = client.get(address, headers=headers, timeout=30)
        assert (answer.status_code, answer.text) == (200, "hello")


def test_a_log_becomes_a_file(
    server: JupyterServer, client: requests.Session, served: Store
) -> None:
    run = recorded(served, b"hello")
    answer = client.get(f"{server.api}runs/{run.id}/log?download=1", timeout=30)
    assert "attachment" in answer.headers["Content-Disposition"]
    assert f"{run.id}.log" in answer.headers["Content-Disposition"]


def test_a_log_of_no_bytes_is_sent(
    server: JupyterServer, client: requests.Session, served: Store
) -> None:
    address = f"{server.api}runs/{recorded(served).id}/log"
    assert client.get(address, timeout=30).content == b""
    assert client.get(address, headers={"Range": "bytes=0-"}, timeout=30).status_code == 416


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of a process from /proc")
def test_a_large_log_is_never_in_memory(
    server: JupyterServer, client: requests.Session, served: Store
) -> None:
    run = recorded(served, b"x" * 199_999_999 + b"\n")

    def highest() -> int:
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    client.get(f"{server.api}runs", timeout=30)
    before = highest()
    with client.get(f"{server.api}runs/{run.id}/log", stream=True, timeout=60) as answer:
        total = sum(map(len, answer.iter_content(1 << 20)))
    assert total == 200_000_000
    assert highest() - before < 50_000_000


def test_lines_are_given_by_number_and_found(
    server: JupyterServer, client: requests.Session, served: Store
) -> None:
    log = "".join(f"line {number}\r\n" for number in range(1000)).encode() + "ende: ü".encode()
    address = f"{server.api}runs/{recorded(served, log).id}"
    said = client.get(f"{address}/lines?first=998&count=10", timeout=30).json()
    assert (said["first"], said["count"], said["total"]) == (998, 3, 1001)
    assert said["lines"] == ["line 998", "line 999", "ende: ü"]
    assert said["streams"] == [[0, 1]]
    found = client.get(f"{address}/find?text=LINE%2099&limit=5", timeout=30).json()
    assert found == {"lines": [99, 990, 991, 992, 993], "more": True}
    exact = client.get(f"{address}/find?text=LINE&case=1", timeout=30).json()
    assert exact == {"lines": [], "more": False}
    query = {"text": "^line 9.9$", "regex": "true", "start": "950"}
    found = client.get(f"{address}/find", params=query, timeout=30).json()
    assert found["lines"] == [959, 969, 979, 989, 999]


# -- live pages ------------------------------------------------------------------------------------


def test_a_page_is_told_what_happens(server: JupyterServer, client: requests.Session) -> None:
    body = "import time\nfor n in range(50):\n    print('row', n, flush=True)\n    time.sleep(0.02)"
    run = client.post(f"{server.api}runs", json={"spec": cell(body)}, timeout=30).json()
    lines: dict[int, bytes] = {}
    with server.stream() as page:
        welcome, _ = page.hear()
        assert welcome["t"] == "welcome"
        assert welcome["store"] == run["store"]
        page.say(t="watch", v="one", run=run["id"], have=0)
        record: dict[str, Any] = {}
        numbers = []
        while not record.get("terminal") or len(lines) < 50:
            message, text = page.hear(t="live", v="one", run=run["id"])
            numbers.append(message["seq"])
            record = message.get("record", record)
            if "log" in message:
                first = message["log"]["first"]
                lines = {n: line for n, line in lines.items() if n < first}
                lines.update(enumerate(text.splitlines(), first))
                page.say(t="ack", v="one", run=run["id"], seq=message["seq"])
    assert lines == {n: f"row {n}".encode() for n in range(50)}
    assert numbers == list(range(1, len(numbers) + 1))
    assert record["state"] == "finished"


def test_a_page_asks(server: JupyterServer, served: Store) -> None:
    run = recorded(served, b"a\nb\nc\n", env={"API_TOKEN": TOKEN})
    with server.stream() as page:

        def ask(verb: str, **more: Any) -> tuple[dict[str, Any], bytes]:
            page.say(t="ask", v="v", run=run.id, id=verb and 7, verb=verb, **more)
            return page.hear(t="answer", v="v", id=7)

        said, text = ask("lines", first=1, count=5)
        assert (said["ok"], said["log"]["first"], said["total"]) == (True, 1, 3)
        assert text == b"b\nc\n"
        assert ask("find", text="C")[0]["lines"] == [2]
        assert ask("copy", **{"as": "cli"})[0]["text"]
        assert "text/html" in ask("bundle")[0]["bundle"]
        assert TOKEN not in json.dumps(ask("spec")[0])
        for verb, more in [("stop", {}), ("relaunch", {}), ("find", {"text": "(", "regex": True})]:
            said, _ = ask(verb, **more)
            assert not said["ok"]
            assert said["message"]
    assert served.get(run.id).state is State.FINISHED
    assert "Traceback" not in server.log


WRONG: list[dict[str, Any]] = [
    {"t": "shout", "v": "v", "run": "abcdefgh"},
    {"v": "v", "run": "abcdefgh"},
    {"t": ["watch"], "v": "v", "run": "abcdefgh"},
    {"t": "watch", "v": 7, "run": "abcdefgh", "id": 3},
    {"t": "watch", "v": "v", "have": 0},
    {"t": "watch", "v": "v", "run": "x" * 1000, "have": 0},
    {"t": "watch", "v": "v", "run": "abcdefgh", "have": "many"},
    {"t": "ack", "v": "v", "run": "abcdefgh", "seq": []},
]


def test_a_page_that_speaks_nonsense_is_told_so(server: JupyterServer) -> None:
    with server.stream() as page:
        for message in WRONG:
            page.say(**message)
            said, _ = page.hear(t="answer")
            assert not said["ok"]
            assert said["message"]
            assert said["id"] == message.get("id")
        page.say(t="watch", v="v", run="../../etc", have=0)
        page.hear(t="gone")
    assert "Traceback" not in server.log


@pytest.mark.parametrize("data", ["{", "[]", "7", "[" * 100_000, b"\x00\x01"])
def test_what_is_no_message_ends_the_conversation(server: JupyterServer, data: str | bytes) -> None:
    with server.stream() as page:
        if isinstance(data, bytes):
            page.socket.send_binary(data)
        else:
            page.socket.send(data)
        assert page.closed() == 1003
    assert "Traceback" not in server.log


def test_a_page_that_does_not_read_is_cut_off(server: JupyterServer, served: Store) -> None:
    run = recorded(served, (b"x" * 9000 + b"\n") * 500)
    with server.stream() as page:
        for number in range(400):  # each answer has 256 KiB
            page.say(t="ask", v="v", run=run.id, id=number, verb="lines", first=0, count=500)
        deadline = time.monotonic() + 60
        while "unread" not in server.log:
            assert time.monotonic() < deadline
            time.sleep(0.05)  # the log is all there is to see of it
    with server.stream() as page:
        page.say(t="watch", v="v", run=run.id, have=0)
        assert page.hear(t="live")[0]["record"]["id"] == run.id
    assert "Traceback" not in server.log


def test_two_pages_are_told_the_same(server: JupyterServer, client: requests.Session) -> None:
    run = client.post(
        f"{server.api}runs", json={"spec": cell("#!/bin/sh\nsleep 600\n")}, timeout=30
    ).json()
    with server.stream() as here, server.stream() as there:
        for name, page in (("here", here), ("there", there)):
            page.say(t="watch", v=name, run=run["id"], have=0)
            _record(page, lambda record: record["state"] == "running")
        client.post(f"{server.api}runs/{run['id']}/stop", json={}, timeout=30)
        for page in (here, there):
            assert _record(page, ended)["state"] == "stopped"


def _record(page: Page, like: Callable[[Any], bool]) -> dict[str, Any]:
    while True:
        record = page.hear(t="live")[0].get("record")
        if record is not None and like(record):
            return dict(record)


# -- the server's life -----------------------------------------------------------------------------


def test_a_run_goes_on_when_its_server_is_killed(tmp_path: Path) -> None:
    body = "import time\nfor n in range(60):\n    print(n, flush=True)\n    time.sleep(0.1)"
    with JupyterServer(tmp_path / "jupyter") as server, server.session() as client:
        run = client.post(f"{server.api}runs", json={"spec": cell(body)}, timeout=30).json()
        with server.stream() as page:
            page.say(t="watch", v="v", run=run["id"], have=0)
            while b"5\n" not in page.hear(t="live")[1]:
                pass
        server.stop(signal.SIGKILL)
        server.start()
        assert until(client, server, run["id"], ended)["state"] == "finished"
        log = client.get(f"{server.api}runs/{run['id']}/log", timeout=30).text
        assert log == "".join(f"{n}\n" for n in range(60))
        store = server.store()
    end_runs(store)


def test_a_store_that_cannot_be_used_is_told_until_it_can(tmp_path: Path) -> None:
    file = tmp_path / "jupyter/store/launch.db"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"no database at all" * 1000)
    with JupyterServer(tmp_path / "jupyter") as server, server.session() as client:
        for answer in [
            client.get(f"{server.api}store", timeout=30),
            client.post(f"{server.api}runs", json={"spec": cell("1")}, timeout=30),
        ]:
            assert answer.status_code == 503
            assert "damaged" in answer.json()["message"]
            assert answer.json()["hint"]
        with pytest.raises(websocket.WebSocketBadStatusException) as caught:
            server.stream()
        assert caught.value.status_code == 503
        assert client.get(f"{server.api}openapi.yaml", timeout=30).ok
        assert "Traceback" not in server.log
        file.unlink()
        assert client.get(f"{server.api}store", timeout=30).ok
        server.stop()
        assert "Traceback" not in server.log
        assert "was destroyed" not in server.log


@pytest.mark.parametrize("alive", [True, False])
def test_a_followed_run_keeps_the_server_alive_only_if_that_is_wanted(
    tmp_path: Path, alive: bool
) -> None:
    settings = [f"--JupyterLaunch.keep_server_alive={alive}"]
    with JupyterServer(tmp_path / "jupyter", settings) as server, server.session() as client:

        def active() -> str:
            return str(
                client.get(f"{server.root_url}api/status", timeout=30).json()["last_activity"]
            )

        spec = cell("#!/bin/sh\nsleep 600\n")
        run = client.post(f"{server.api}runs", json={"spec": spec}, timeout=30).json()
        before = active()
        with server.stream() as page:
            page.say(t="watch", v="v", run=run["id"], have=0)
            _record(page, lambda record: record["state"] == "running")
            assert (active() > before) == alive
        store = server.store()
    end_runs(store)


def test_loading_imports_nothing_heavy(tmp_path: Path) -> None:
    with JupyterServer(
        tmp_path / "jupyter", environment={"PYTHONPROFILEIMPORTTIME": "1"}
    ) as server:
        loaded = {line.rpartition("|")[2].strip() for line in server.log.splitlines()}
        assert "jupyter_launch.frontends.server" in loaded
        assert loaded & {"pydantic", "docker", "requests", "jupyter_launch.submit"} == set()
        assert not Path(server.store_url.removeprefix("sqlite:///")).exists()


@pytest.mark.skipif(sys.platform != "linux", reason="reads a process's environment from /proc")
def test_kernels_know_that_a_server_feeds_their_cards(
    server: JupyterServer, client: requests.Session
) -> None:
    answer = client.post(f"{server.root_url}api/kernels", json={"name": "python3"}, timeout=60)
    kernel = answer.json()["id"]
    try:
        children = Path(f"/proc/{server.process.pid}/task").glob("*/children")
        pids = " ".join(path.read_text() for path in children).split()
        found = b""
        for pid in pids:
            with contextlib.suppress(OSError):  # one that has ended
                found += Path(f"/proc/{pid}/environ").read_bytes()
        assert b"JUPYTER_LAUNCH_SERVER=1" in found.split(b"\0")
    finally:
        client.delete(f"{server.root_url}api/kernels/{kernel}", timeout=60)


def test_time_is_told_by_the_server(server: JupyterServer, served: Store) -> None:
    run = recorded(served)
    with server.stream() as page:
        before = time.time()
        page.say(t="watch", v="v", run=run.id, have=0)
        told, _ = page.hear(t="live")
        assert before <= told["now"] <= time.time()
