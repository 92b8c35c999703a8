"""Builds on a real engine, with a real registry, and packages from an index of one's own."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker
import pytest
import requests

from jupyter_launch.builds import buildkit
from jupyter_launch.builds.build import NAME, ensure
from jupyter_launch.builds.dockerfile import generated
from jupyter_launch.builds.requirements import Dependencies, declared
from jupyter_launch.docker_engine import Engine, address, connect
from jupyter_launch.errors import BackendUnavailable, BuildFailed, ImageNotFound, RunStopped
from jupyter_launch.recipe import Recipe
from jupyter_launch.runs import new_id
from jupyter_launch.sources.code import from_path
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.states import State
from jupyter_launch.stores.base import Store
from jupyter_launch.submit import Launcher
from tests.conftest import PYTHON, TINY
from tests.integration.test_local_container import Relay
from tests.package_index import Index, host_address, package_index

pytestmark = pytest.mark.docker


class Told:
    """A report that keeps what it is told, and can be stopped as a run is."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.log = b""
        self._ends: list[Callable[[], None]] = []
        self._stopped = False

    def __call__(self, text: str) -> None:
        self.lines.append(text)

    def output(self, data: bytes) -> None:
        assert data.endswith(b"\n")
        self.log += data

    @contextlib.contextmanager
    def stoppable(self, end: Callable[[], None]) -> Iterator[None]:
        self._ends.append(end)
        try:
            if self._stopped:
                end()
            yield
        finally:
            self._ends.remove(end)
            if self._stopped:
                raise RunStopped

    def stop(self) -> None:
        self._stopped = True
        for end in list(self._ends):
            end()


class Bench:
    """Builds with one engine, and removes all the images that it made."""

    def __init__(self) -> None:
        self.engine: Engine = connect(address())
        self.client = docker.from_env()
        self.told = Told()
        self.made: set[str] = set()

    def ensure(self, recipe: Recipe, told: Told | None = None) -> tuple[str, bool]:
        image, built = ensure(self.engine, recipe, told or self.told)
        self.made.add(image)
        return image, built

    def image(self, text: str, **more: Any) -> str:
        """Build by a Dockerfile that no other test has, on the tiny image."""
        return self.ensure(self.recipe(text, **more))[0]

    def recipe(self, text: str, base: str = TINY, **more: Any) -> Recipe:
        return Recipe(base, f"FROM {base}\n# {new_id()}\n{text}\n", **more)

    def installing(self, *lines: str, base: str = PYTHON, **more: Any) -> Recipe:
        needs = Dependencies.from_lines(lines)
        text = generated(base, needs, inherit_pip_config=more.get("inherit_pip_config", False))
        return Recipe(base, text, needs.context(), **more)

    def says(self, image: str, *command: str) -> str:
        """Run a command in an image, and give what it says."""
        said: bytes = self.client.containers.run(
            image, list(command), remove=True, network_mode="none"
        )
        return said.decode().strip()

    def containers(self, command: str) -> list[str]:
        """Name the containers that run a command, or ran it."""
        there = self.engine.containers(all=True)
        return [one["Id"] for one in there if command in one["Command"]]

    def failure(self, recipe: Recipe) -> BuildFailed:
        with pytest.raises(BuildFailed) as caught:
            self.ensure(recipe)
        return caught.value

    def close(self) -> None:
        for image in self.made:
            with contextlib.suppress(docker.errors.APIError):
                tags = self.client.images.get(image).tags
                for name in tags or [image]:
                    self.client.images.remove(name, force=True)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


@pytest.fixture(params=["buildkit", "classic"])
def builder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name = str(request.param)
    if name == "classic":
        without_a_docker_command(monkeypatch)
    else:
        need_buildkit()
    return name


def without_a_docker_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")


def need_buildkit() -> None:
    if buildkit.command(connect(address())) is None:
        pytest.skip("no docker command here builds with BuildKit")


@pytest.fixture
def index() -> Iterator[Index]:
    with package_index() as made:
        yield made


def version_in(bench: Bench, image: str, package: str) -> str:
    return bench.says(image, "python3", "-c", f"import {package}; print({package}.VERSION)")


# -- what is built -----------------------------------------------------------------------------


def test_requirements_are_installed_and_every_step_is_told(
    bench: Bench, index: Index, builder: str
) -> None:
    assert builder
    index.add("jlparrot", "2.0", needs=("jlcage",))
    index.add("jlcage")
    image, built = bench.ensure(bench.installing(*index.options, "jlparrot>=1"))
    assert built
    assert version_in(bench, image, "jlparrot") == "2.0"
    assert version_in(bench, image, "jlcage") == "1.0"
    steps = [line for line in bench.told.lines if line.startswith("building step ")]
    assert "FROM" in steps[0]
    assert any(": RUN python3 -m pip install -r " in step for step in steps)
    assert b"Successfully installed jlcage-1.0 jlparrot-2.0\n" in bench.told.log
    assert b"\r" not in bench.told.log
    assert b"\x1b" not in bench.told.log


def test_nothing_of_the_installer_is_left_but_what_it_installed(bench: Bench, index: Index) -> None:
    index.add("jlparrot")
    image, _ = bench.ensure(bench.installing(*index.options, "jlparrot"))
    config = bench.engine.image(image)["Config"]
    assert not [name for name in config["Env"] if name.startswith("PIP_")]
    assert config["Labels"]["jupyter_launch.built"] == "1"
    assert bench.says(image, "sh", "-c", "ls -A ~/.cache 2>/dev/null; echo done") == "done"


def test_constraints_limit_what_is_installed(bench: Bench, index: Index) -> None:
    index.add("jlparrot", "1.0")
    index.add("jlparrot", "2.0")
    image, _ = bench.ensure(bench.installing(*index.options, "jlparrot", "-c jlparrot<2"))
    assert version_in(bench, image, "jlparrot") == "1.0"


def test_a_base_whose_python_belongs_to_the_system_can_be_built_on(
    bench: Bench, index: Index
) -> None:
    index.add("jlparrot")
    mark = "import sysconfig as s; open(s.get_path('stdlib') + '/EXTERNALLY-MANAGED', 'w').write('[externally-managed]')"  # noqa: E501
    base = bench.image(f'RUN python3 -c "{mark}"', base=PYTHON)
    image, _ = bench.ensure(bench.installing(*index.options, "jlparrot", base=base))
    assert version_in(bench, image, "jlparrot") == "1.0"


def test_a_base_with_another_user_can_be_built_on(bench: Bench, index: Index) -> None:
    index.add("jlparrot")
    base = bench.image("ENV HOME=/tmp/home\nUSER 65534", base=PYTHON)
    image, _ = bench.ensure(bench.installing(*index.options, "jlparrot", base=base))
    assert version_in(bench, image, "jlparrot") == "1.0"
    assert bench.says(image, "id", "-u") == "65534"


def test_a_lock_is_installed_by_its_hashes(bench: Bench, index: Index) -> None:
    wanted, other = index.add("jlparrot", "1.0"), index.add("jlparrot", "2.0")
    lock = """
version = 1
[[package]]
name = "app"
version = "0"
source = {{ virtual = "." }}
dependencies = [{{ name = "jlparrot" }}]
[[package]]
name = "jlparrot"
version = "1.0"
source = {{ registry = "{url}" }}
wheels = [{{ url = "x", hash = "{hash}" }}]
"""

    def recipe(found: str) -> Recipe:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            data = lock.format(url=index.url, hash=found).encode()
            entry = tarfile.TarInfo("uv.lock")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        needs = declared(packed.getvalue())
        assert needs is not None
        needs.files["requirements.txt"]
        trusted = f"--trusted-host {index.host}\n".encode() + needs.files["requirements.txt"]
        needs = Dependencies({"requirements.txt": trusted}, needs.kind)
        text = generated(PYTHON, needs, inherit_pip_config=False)
        return Recipe(PYTHON, text, needs.context())

    image, _ = bench.ensure(recipe(wanted))
    assert version_in(bench, image, "jlparrot") == "1.0"
    assert "HASHES" in str(bench.failure(recipe(other)))


def test_a_dockerfile_takes_files_from_its_context(bench: Bench, builder: str) -> None:
    assert builder
    needs = Dependencies({"a.txt": b"hello\n", "sub/b.txt": b"there\n"})
    image = bench.image("COPY . /here/", context=needs.context())
    assert bench.says(image, "cat", "/here/a.txt", "/here/sub/b.txt") == "hello\nthere"


def test_what_a_dockerignore_names_is_no_part_of_the_image(bench: Bench, builder: str) -> None:
    assert builder
    files = {".dockerignore": b"# not these\n*.log\n!kept.log\n", "a": b"", "kept.log": b""}

    def made(**more: bytes) -> str:
        context = Dependencies({**files, **more}).context()
        return bench.ensure(Recipe(TINY, f"FROM {TINY}\n# {mark}\nCOPY . /here/\n", context))[0]

    mark = new_id()
    image = made(**{"left.log": b"one"})
    assert bench.says(image, "ls", "/here").split() == ["a", "kept.log"]
    assert made(**{"left.log": b"two"}) == image


# -- what is not built again -------------------------------------------------------------------


def test_the_same_again_is_two_questions_to_the_engine(bench: Bench, builder: str) -> None:
    assert builder
    recipe = bench.recipe("RUN true")
    image, built = bench.ensure(recipe)
    assert built
    asked: list[str] = []

    def note(answer: requests.Response, *_args: object, **_more: object) -> None:
        asked.append(answer.request.method or "")

    bench.engine.hooks["response"].append(note)
    told = Told()
    try:
        assert bench.ensure(recipe, told) == (image, False)
    finally:
        bench.engine.hooks["response"].remove(note)
    assert asked == ["GET", "GET"]
    assert (told.lines, told.log) == ([], b"")


def test_another_context_or_base_is_another_image(bench: Bench) -> None:
    base = f"jupyter-launch-test/base-{new_id()}".lower()
    bench.made.add(base)
    bench.client.images.get(bench.image("RUN echo 1 > /n")).tag(base)

    def made(text: str) -> str:
        context = Dependencies({"a.txt": text.encode()}).context()
        return bench.ensure(Recipe(base, f"FROM {base}\nCOPY a.txt /\n", context))[0]

    first = made("a")
    assert made("b") != first
    assert made("a") == first
    bench.client.images.get(bench.image("RUN echo 2 > /n")).tag(base)
    second = made("a")
    assert second != first
    assert bench.says(first, "cat", "/n") == "1"
    assert bench.says(second, "cat", "/n") == "2"


def test_two_at_once_build_once(bench: Bench, builder: str) -> None:
    assert builder
    recipe = bench.recipe("RUN sleep 1")
    told = [Told(), Told()]
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda one: bench.ensure(recipe, one), told))
    assert len({image for image, _ in found}) == 1
    assert sorted(built for _, built in found) == [False, True]
    waiting = [one for one in told if any(line.startswith("waiting") for line in one.lines)]
    assert len(waiting) == 1


# -- what fails --------------------------------------------------------------------------------


def test_a_failure_names_the_instruction_its_code_and_its_last_words(
    bench: Bench, builder: str
) -> None:
    assert builder
    recipe = bench.recipe("RUN echo first; for n in $(seq 30); do echo line $n; done; exit 7")
    error = bench.failure(recipe)
    step, *tail = error.message.splitlines()
    assert step.startswith("The build failed at step 2/")
    assert "RUN echo first" in step
    assert step.endswith("(exit code 7).")
    assert tail == [f"  | line {n}" for n in range(21, 31)]
    assert b"first\n" in bench.told.log
    assert error.hint


def test_a_failed_build_leaves_no_image_and_no_container(bench: Bench, builder: str) -> None:
    assert builder
    mark = new_id()
    recipe = bench.recipe(f"RUN echo {mark} && exit 7")
    assert str(bench.failure(recipe)) == str(bench.failure(recipe))  # nothing is believed built
    assert not bench.containers(mark)


def test_a_broken_dockerfile_says_what_is_wrong(bench: Bench, builder: str) -> None:
    assert builder
    error = bench.failure(bench.recipe("FETCH x"))
    assert "unknown instruction" in error.message
    assert "FETCH" in error.message.upper()


def test_a_package_that_is_not_there_is_named(bench: Bench, index: Index) -> None:
    error = bench.failure(bench.installing(*index.options, "unicorn"))
    assert "No matching distribution found for unicorn" in error.message
    assert error.hint.startswith("Check the names and versions")


def test_a_base_without_python_says_so(bench: Bench) -> None:
    error = bench.failure(bench.installing("six", base=TINY))
    assert "exit code 127" in error.message
    assert "The base image needs Python" in error.hint


def test_a_base_that_is_nowhere_is_no_failed_build(bench: Bench) -> None:
    with pytest.raises(ImageNotFound, match=r"127\.0\.0\.1:9/none"):
        bench.ensure(bench.recipe("RUN true", base="127.0.0.1:9/none"))


def test_what_looks_like_a_secret_is_not_shown(bench: Bench, builder: str) -> None:
    assert builder
    text = "RUN echo see https://ada:hunter22@index.test/ and https://hunter33@x.test/; exit 1"
    error = bench.failure(bench.recipe(text))
    shown = bench.told.log.decode() + "".join(bench.told.lines) + str(error)
    assert "index.test" in shown
    assert "hunter" not in shown


# -- what is stopped ---------------------------------------------------------------------------


class Guard:
    """Notices, from outside, when what a build runs begins and when it is gone."""

    def __init__(self) -> None:
        self._server = socket.create_server(("0.0.0.0", 0))
        self._server.settimeout(60)
        port = self._server.getsockname()[1]
        self.call = f"RUN sleep 600 | nc {host_address()} {port}"

    def begun(self) -> None:
        self._connection, _ = self._server.accept()
        self._connection.settimeout(60)

    def gone(self) -> bool:
        return self._connection.recv(1) == b""

    def close(self) -> None:
        self._server.close()
        self._connection.close()


def test_stopping_ends_the_build_and_what_it_runs(bench: Bench, builder: str) -> None:
    assert builder
    guard = Guard()
    recipe = bench.recipe(guard.call)
    with contextlib.closing(guard), ThreadPoolExecutor() as pool:
        building = pool.submit(bench.ensure, recipe)
        guard.begun()
        bench.told.stop()
        with pytest.raises(RunStopped):
            building.result(30)
        assert guard.gone()
    deadline = time.monotonic() + 20
    while bench.containers(guard.call[4:]):  # the engine removes what it has killed
        assert time.monotonic() < deadline


def test_stopping_ends_the_waiting_for_another_build(bench: Bench, builder: str) -> None:
    assert builder
    guard = Guard()
    recipe, second = bench.recipe(guard.call), Told()
    with contextlib.closing(guard), ThreadPoolExecutor() as pool:
        building = pool.submit(bench.ensure, recipe)
        guard.begun()
        waiting = pool.submit(bench.ensure, recipe, second)
        while not second.lines:
            assert not waiting.done()
        second.stop()
        with pytest.raises(RunStopped):
            waiting.result(30)
        bench.told.stop()
        with pytest.raises(RunStopped):
            building.result(30)


# -- an engine in trouble ----------------------------------------------------------------------


def test_an_engine_that_goes_away_is_not_called_a_failed_build(
    bench: Bench, builder: str, tmp_path: Path
) -> None:
    assert builder
    relay, guard = Relay(tmp_path / "relay.sock"), Guard()
    relay.open()
    recipe = bench.recipe(guard.call)
    with contextlib.closing(guard), ThreadPoolExecutor() as pool:
        building = pool.submit(
            ensure, Engine(f"unix://{tmp_path}/relay.sock", None), recipe, bench.told
        )
        guard.begun()
        relay.cut()
        with pytest.raises(BackendUnavailable, match=r"relay\.sock does not answer"):
            building.result(60)
        assert guard.gone()


@pytest.fixture
def small_engine(tmp_path: Path) -> Iterator[Engine]:
    """Give an engine of its own whose disk has 24 MB."""
    # Found now: a test may take the path away.
    found = list(map(shutil.which, ("dockerd", "unshare", "mount", "umount")))
    dockerd, unshare, mount, umount = (one or "" for one in found)
    if os.geteuid() != 0 or not all(found):
        pytest.skip("only root can give an engine a disk of its own")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run([mount, "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk], check=False)
    if mounted.returncode:
        pytest.skip("no disk can be mounted here")
    run = Path(tempfile.mkdtemp(prefix="jl-", dir="/tmp"))
    # In a network of its own it cannot touch the bridge of the machine's engine.
    command = [unshare, "--net", dockerd, "--data-root", str(disk), "--bridge=none"]
    command += ["--iptables=false", "--exec-root", f"{run}/exec", "--pidfile", f"{run}/pid"]
    command += ["--host", f"unix://{run}/sock"]
    with (tmp_path / "dockerd.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield started(f"unix://{run}/sock", process)
    finally:
        process.terminate()
        process.wait(60)
        subprocess.run([umount, "-l", disk], check=False)
        shutil.rmtree(run, ignore_errors=True)


def started(where: str, process: subprocess.Popen[bytes]) -> Engine:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(docker.errors.DockerException, OSError):
            engine = Engine(where, None)
            engine.alive()
            return engine
        time.sleep(0.1)
    pytest.skip("a second engine does not start here")


def test_a_full_disk_is_said_in_the_engines_words_and_leaves_no_image(
    bench: Bench, small_engine: Engine, builder: str
) -> None:
    assert builder
    load: Any = small_engine.load_image
    load(b"".join(bench.client.images.get(TINY).save(named=True)))
    context = Dependencies({"large": os.urandom(12_000_000)}).context()
    recipe = bench.recipe("COPY large /one\nCOPY large /two", context=context)
    with pytest.raises(BuildFailed) as caught:
        ensure(small_engine, recipe, bench.told)
    assert "no space left on device" in caught.value.message
    assert "docker system prune" in caught.value.hint
    assert not small_engine.images("jupyter-launch/built")


# -- pip's settings ----------------------------------------------------------------------------

LOGIN = "ada:open-sesame-4711"


@pytest.fixture
def private(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Index]:
    """Serve packages to those who know the login, and give this process no settings of pip's."""
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with package_index(LOGIN) as made:
        made.add("jlparrot")
        yield made


def fresh() -> tuple[str, ...]:
    """Give a line by which requirements differ from all others: settings are no part of a tag."""
    return (f"--trusted-host {new_id()}.test",)


def everything(bench: Bench, image: str) -> bytes:
    """Give all that an image holds: its layers, unpacked, its settings and its history."""
    found = [repr(bench.client.images.get(image).history()).encode()]
    whole = io.BytesIO(b"".join(bench.client.images.get(image).save()))
    with tarfile.open(fileobj=whole) as saved:
        for entry in saved:
            file = saved.extractfile(entry)
            data = file.read() if file else b""
            if entry.name.endswith(".tar"):
                with tarfile.open(fileobj=io.BytesIO(data)) as layer:
                    files = [layer.extractfile(one) for one in layer if one.isreg()]
                    data = b"".join(file.read() for file in files if file)
            found.append(data)
    return b"\n".join(found)


def assert_no_trace(bench: Bench, image: str, index: Index, *secrets: str) -> None:
    """The image holds neither settings nor secrets, and no secret was told."""
    held = everything(bench, image)
    assert b"jlparrot" in held
    assert index.address.encode() not in held
    assert b"trusted-host = " not in held
    for secret in secrets:
        assert secret.encode() not in held + bench.told.log
        assert secret not in "".join(bench.told.lines)


def test_settings_reach_the_build_and_leave_no_trace(
    bench: Bench, private: Index, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    need_buildkit()
    bundle = tmp_path / "ca.pem"
    bundle.write_text("-----BEGIN CERTIFICATE-----\nnothing-to-see\n-----END CERTIFICATE-----\n")
    settings = tmp_path / "pip.conf"
    settings.write_text(
        f"[global]\nindex-url = http://{LOGIN}@{private.address}/simple\n"
        f"[install]\ntrusted-host = {private.host}\nuser = true\nfind-links = {tmp_path}\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    image, _ = bench.ensure(bench.installing(*fresh(), "jlparrot", inherit_pip_config=True))
    assert version_in(bench, image, "jlparrot") == "1.0"
    assert f"pip's find-links {tmp_path} is left out".encode() in bench.told.log
    assert_no_trace(bench, image, private, "open-sesame", "nothing-to-see")


def test_logins_come_from_netrc_but_only_those_of_the_indexes(
    bench: Bench, private: Index, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    need_buildkit()
    user, _, password = LOGIN.partition(":")
    logins = tmp_path / "netrc"
    logins.write_text(
        f"machine {private.host} login {user} password {password}\n"
        "machine other.test login x password not-for-builds\n"
    )
    logins.chmod(0o600)
    monkeypatch.setenv("NETRC", str(logins))
    monkeypatch.setenv("PIP_INDEX_URL", private.url)
    monkeypatch.setenv("PIP_TRUSTED_HOST", private.host)
    recipe = bench.installing(*fresh(), "jlparrot", inherit_pip_config=True)
    show = "sh -c 'tr a-z A-Z < $NETRC; exec python3 -m pip \"$@\"' pip"
    text = recipe.dockerfile.replace("python3 -m pip", show)
    image, _ = bench.ensure(Recipe(recipe.base, text, recipe.context, inherit_pip_config=True))
    assert version_in(bench, image, "jlparrot") == "1.0"
    assert b"OPEN-SESAME-4711" in bench.told.log  # the build saw it, only thus
    assert b"OTHER.TEST" not in bench.told.log
    assert_no_trace(bench, image, private, "open-sesame", "not-for-builds")


def test_a_wrong_login_fails_without_showing_it(
    bench: Bench, private: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_buildkit()
    wrong = f"http://ada:wrong-password-1@{private.address}/simple"
    monkeypatch.setenv("PIP_INDEX_URL", wrong)
    monkeypatch.setenv("PIP_TRUSTED_HOST", private.host)
    error = bench.failure(bench.installing(*fresh(), "jlparrot", inherit_pip_config=True))
    assert "wrong-password" not in bench.told.log.decode() + str(error)


def test_without_buildkit_settings_are_refused(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_a_docker_command(monkeypatch)
    error = bench.failure(bench.installing("six", inherit_pip_config=True))
    assert "needs BuildKit" in error.message
    assert "buildx" in error.hint


# -- registries --------------------------------------------------------------------------------

REGISTRY = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
AUTH = "auth: {{htpasswd: {{realm: r, path: {file}}}}}\n"
# of ada, with the password open-sesame
HTPASSWD = "ada:$2b$04$Op8cKzqPlB5i/gPJv2Kfn.RYrOuWWP4X9.S25ivNqeQOvTyc0JzuK\n"


@contextlib.contextmanager
def registry(folder: Path, *, private: bool = False) -> Iterator[tuple[str, subprocess.Popen[Any]]]:
    """Start a registry, and give its host and its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    text = REGISTRY.format(folder=folder / "registry", port=port)
    if private:
        (folder / "htpasswd").write_text(HTPASSWD)
        text += AUTH.format(file=folder / "htpasswd")
    (folder / "registry.yml").write_text(text)
    program = shutil.which("docker-registry")
    assert program
    process = subprocess.Popen(
        [program, "serve", str(folder / "registry.yml")],
        env={**os.environ, "OTEL_TRACES_EXPORTER": "none"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    retry = "for _ in $(seq 100); do (exec 3<>/dev/tcp/$0/$1) && exit; sleep 0.1; done; exit 1"
    subprocess.run(
        ["/bin/bash", "-c", retry, "127.0.0.1", str(port)], check=True, stderr=subprocess.DEVNULL
    )
    try:
        yield f"127.0.0.1:{port}", process
    finally:
        process.terminate()
        process.wait()


@pytest.mark.registry
def test_an_image_is_pushed_once_and_known_by_its_digest(bench: Bench, tmp_path: Path) -> None:
    with registry(tmp_path) as (host, process):
        repository = f"{host}/team/project"
        recipe = bench.recipe("RUN echo pushed > /said", repository=repository)
        image, built = bench.ensure(recipe)
        assert built
        assert image.startswith(f"{repository}@sha256:")
        assert bench.says(image, "cat", "/said") == "pushed"
        assert [line for line in bench.told.lines if line.startswith(f"pushing {repository}:")]
        bench.close()
        assert bench.says(image, "cat", "/said") == "pushed"  # pulled by its digest
        bench.client.images.remove(image)
        again, built = bench.ensure(recipe)
        assert built
        process.terminate()
        process.wait()
        assert bench.ensure(recipe) == (again, False)  # without a registry to ask


@pytest.mark.registry
def test_an_image_that_is_there_is_pushed_to_another_repository(
    bench: Bench, tmp_path: Path
) -> None:
    with registry(tmp_path) as (host, _):
        recipe = bench.recipe("RUN echo pushed > /said")
        bench.ensure(recipe)
        for name in ("one", "two"):
            to = Recipe(recipe.base, recipe.dockerfile, repository=f"{host}/{name}")
            image, built = bench.ensure(to)
            assert not built
            assert image.startswith(f"{host}/{name}@sha256:")


@pytest.mark.registry
def test_a_registry_is_entered_with_the_login_of_docker(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "docker"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    with registry(tmp_path, private=True) as (host, _):
        recipe = bench.recipe("RUN true", repository=f"{host}/team/project")
        refused = bench.failure(recipe)
        assert f"{host}/team/project did not take it" in refused.message
        assert f"docker login {host}" in refused.hint
        auth = "YWRhOm9wZW4tc2VzYW1l"  # ada:open-sesame
        (folder / "config.json").write_text(f'{{"auths": {{"{host}": {{"auth": "{auth}"}}}}}}')
        image, built = bench.ensure(recipe)
        assert not built
        assert image.startswith(f"{host}/team/project@sha256:")


def test_a_registry_that_is_not_there_says_so(bench: Bench) -> None:
    error = bench.failure(bench.recipe("RUN true", repository="127.0.0.1:9/x"))
    assert "127.0.0.1:9/x did not take it" in error.message
    assert "refused" in error.message
    assert "is up" in error.hint


# -- as a part of a run ------------------------------------------------------------------------


def folder_source(store: Store, **files: str) -> LaunchSpec:
    """Take a folder as a source; two underscores in a name stand for a dot."""
    folder = Path("code")
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    given = {"resource": "local-container", "docker": {"docker_image": PYTHON}}
    return LaunchSpec.from_dict(given).evolve(source=from_path("code", (), store))


@pytest.fixture
def removed(bench: Bench) -> Iterator[None]:
    """Remove what runs of this test build."""
    tags = {tag for image in bench.engine.images(NAME) for tag in image["RepoTags"] or ()}
    yield
    now = {tag for image in bench.engine.images(NAME) for tag in image["RepoTags"] or ()}
    bench.made |= now - tags


@pytest.mark.usefixtures("removed")
def test_changed_code_with_the_same_requirements_builds_nothing(
    launcher: Launcher, store: Store, index: Index
) -> None:
    index.add("jlparrot", "3.0")
    wanted = "\n".join([*index.options, "jlparrot"])
    code = "import jlparrot; print({!r}, jlparrot.VERSION)"
    said = []
    for change in ("first", "second"):
        spec = folder_source(store, main__py=code.format(change), requirements__txt=wanted)
        handle = launcher.launch(spec)
        assert handle.wait(90) is State.FINISHED
        lines = handle.logs().splitlines()
        told = [event.data["text"] for event in handle.events() if event.kind == "progress"]
        said.append((lines[-1], any(line.startswith("building step") for line in told)))
        assert ("Successfully installed jlparrot-3.0" in lines) is (change == "first")
    assert said == [("first 3.0", True), ("second 3.0", False)]


@pytest.mark.usefixtures("removed")
def test_a_run_whose_build_fails_says_where(launcher: Launcher, store: Store) -> None:
    dockerfile = f"FROM {TINY}\nRUN echo {new_id()} && echo broken && exit 9\n"
    spec = folder_source(store, main__py="", Dockerfile=dockerfile)
    handle = launcher.launch(spec.evolve(overrides={"dockerfile": "Dockerfile"}))
    assert handle.wait(90) is State.FAILED
    assert "The build failed at step 2/" in handle.run.reason
    assert "(exit code 9)" in handle.run.reason
    assert "  | broken" in handle.run.reason
    assert "broken" in handle.logs()


@pytest.mark.usefixtures("removed")
def test_stopping_a_run_that_is_building_stops_the_build(
    launcher: Launcher, store: Store, builder: str
) -> None:
    assert builder
    guard = Guard()
    dockerfile = f"FROM {TINY}\n# {new_id()}\n{guard.call}\n"
    spec = folder_source(store, main__py="", Dockerfile=dockerfile)
    with contextlib.closing(guard):
        handle = launcher.launch(spec.evolve(overrides={"dockerfile": "Dockerfile"}))
        guard.begun()
        handle.stop()
        assert handle.wait(60) is State.STOPPED
        assert guard.gone()
