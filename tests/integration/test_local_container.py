"""Containers on a real engine: options as the docker command has them, failures, interruptions."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import shutil
import socket
import ssl
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from docker.errors import APIError

from jupyter_launch.backends.base import STDERR, STDOUT, Frame
from jupyter_launch.backends.container_outputs import OUTPUTS
from jupyter_launch.backends.docker_create import create, create_body
from jupyter_launch.backends.docker_options import container_options
from jupyter_launch.backends.docker_stats import gpu_ids
from jupyter_launch.backends.local_container import LocalContainer
from jupyter_launch.docker_engine import address, connect
from jupyter_launch.errors import (
    BackendUnavailable,
    ImageNotFound,
    LaunchError,
    SpecError,
    StartFailed,
)
from jupyter_launch.program import Program
from jupyter_launch.report import Silent
from jupyter_launch.runs import LogPosition, Run, new_id
from jupyter_launch.states import State
from tests.conftest import PYTHON, TINY

pytestmark = pytest.mark.docker
BEGINNING = LogPosition()
HOLD_MEMORY = "import time; x = b'x' * (64 << 20); print('held', flush=True); time.sleep(600)"


class Bench:
    """A backend whose containers are removed after the test."""

    def __init__(self) -> None:
        self.backend = LocalContainer()
        self.handles: list[str] = []

    def new_run(self, store: str = "") -> Run:
        run = Run(id=new_id(), spec_json="{}", state=State.LEASED, created=time.time(), store=store)
        self.handles.append(self.backend.handle(run))
        return run

    def start(self, program: Program, **environment: str) -> str:
        run = self.new_run()
        self.backend.start(program, run, environment)
        return self.backend.handle(run)

    def read(self, handle: str, position: LogPosition = BEGINNING) -> dict[int, bytes]:
        return joined(self.backend.attach(handle, position))

    def fails(self, program: Program) -> LaunchError:
        """Prepare and start what cannot work; give the error, and see that nothing is left."""
        run = self.new_run()
        try:
            self.backend.prepare(program, Silent())
            self.backend.start(program, run, {})
        except LaunchError as error:
            assert not exists(self.backend.handle(run))
            return error
        raise AssertionError("it did not fail")


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    for handle in made.handles:
        made.backend.remove(handle)


def joined(batches: Iterator[list[Frame]]) -> dict[int, bytes]:
    parts: dict[int, list[bytes]] = {STDOUT: [], STDERR: []}
    for batch in batches:
        for stream, data in batch:
            parts[stream].append(data)
    return {stream: b"".join(data) for stream, data in parts.items()}


def exists(handle: str) -> bool:
    name = handle.rpartition("#")[2]
    return not docker("container", "inspect", name).returncode


def docker(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *argv], capture_output=True, text=True, check=False)


def shell(script: str, **options: Any) -> Program:
    return Program(command=("sh", "-c", script), image=TINY, options=options)


# -- options, side by side with the docker command ------------------------------------------------

SAME = {
    "--hostname=h --domainname=d.org --user=1:2": "{h: h, domainname: d.org, u: '1:2'}",
    "--workdir=/x --stop-signal=SIGINT": "{w: /x, stop-signal: SIGINT}",
    "--env=A=1 --env=B='x y'": "{env: {A: 1, B: x y}}",
    "--label=a=1 --label=b": "{label: [a=1, b]}",
    "--entrypoint=sh": "{entrypoint: sh}",
    "--memory=64m --memory-swap=-1": "{memory: 64m, memory-swap: -1}",
    "--memory=1.5g --memory-reservation=32m": "{m: 1.5g, memory-reservation: 32m}",
    "--memory-swappiness=10 --oom-score-adj=5": "{memory-swappiness: 10, oom-score-adj: 5}",
    "--cpus=1.5 --cpu-shares=512": "{cpus: 1.5, c: 512}",
    "--cpuset-cpus=0 --cpuset-mems=0": "{cpuset-cpus: 0, cpuset-mems: '0'}",
    "--cpu-period=50000 --cpu-quota=25000": "{cpu-period: 50000, cpu-quota: 25000}",
    "--pids-limit=100 --shm-size=128m": "{pids-limit: 100, shm-size: 128m}",
    "--blkio-weight=300": "{blkio-weight: 300}",
    "--device-read-bps=/dev/null:1mb": "{device-read-bps: '/dev/null:1mb'}",
    "--device-write-iops=/dev/null:9": "{device-write-iops: ['/dev/null:9']}",
    "--device=/dev/null:/dev/x:r": "{device: '/dev/null:/dev/x:r'}",
    "--device=/dev/null --device=/dev/zero:rw": "{device: [/dev/null, '/dev/zero:rw']}",
    "--device-cgroup-rule='c 42:* rmw'": "{device-cgroup-rule: 'c 42:* rmw'}",
    "--gpus=all": "{gpus: all}",
    "--gpus=2": "{gpus: 2}",
    """--gpus='"device=0,1"'""": "{gpus: 'device=0,1'}",
    """--gpus='driver=nvidia,"capabilities=compute,utility"'""": (
        """{gpus: 'driver=nvidia,"capabilities=compute,utility"'}"""
    ),
    "--volume=/tmp:/a:ro --volume=/anonymous": "{v: ['/tmp:/a:ro', /anonymous]}",
    "--volume=./sub:/a": "{volume: './sub:/a'}",
    "--volume=rel/path:/x": "{volume: 'rel/path:/x'}",
    "--mount=type=bind,source=/tmp,target=/t,readonly": (
        "{mount: {type: bind, source: /tmp, target: /t, readonly: true}}"
    ),
    "--mount=type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1777": (
        "{mount: 'type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1777'}"
    ),
    "--tmpfs=/run:size=1m,noexec --tmpfs=/b": "{tmpfs: ['/run:size=1m,noexec', /b]}",
    "--read-only --privileged": "{read-only: true, privileged: 'true'}",
    "--publish=8080:80 --publish=127.0.0.1:53:53/udp": ("{p: ['8080:80', '127.0.0.1:53:53/udp']}"),
    "--publish=9000 --expose=70-72": "{publish: 9000, expose: 70-72}",
    "--publish=[::1]:7000-7001:70-71 -P": ("{publish: '[::1]:7000-7001:70-71', publish-all: yes}"),
    "--network=none": "{network: none}",
    "--network=host": "{net: host}",
    "--dns=1.1.1.1 --dns-search=a.org --dns-option=ndots:1": (
        "{dns: 1.1.1.1, dns-search: a.org, dns-opt: 'ndots:1'}"
    ),
    "--add-host=a:1.2.3.4 --add-host=b=::1": "{add-host: ['a:1.2.3.4', 'b=::1']}",
    "--cap-add=SYS_PTRACE --cap-drop=ALL": "{cap-add: [SYS_PTRACE], cap-drop: ALL}",
    "--group-add=5 --group-add=audio": "{group-add: [5, audio]}",
    "--security-opt=no-new-privileges --security-opt=seccomp=profile.json": (
        "{security-opt: [no-new-privileges, seccomp=profile.json]}"
    ),
    "--security-opt=systempaths=unconfined": "{security-opt: systempaths=unconfined}",
    "--ulimit=nofile=1024:2048 --ulimit=core=0": "{ulimit: {nofile: '1024:2048', core: 0}}",
    "--sysctl=net.core.somaxconn=99": "{sysctl: {net.core.somaxconn: 99}}",
    "--ipc=host --pid=host --uts=host": "{ipc: host, pid: host, uts: host}",
    "--cgroupns=private --cgroup-parent=/x": "{cgroupns: private, cgroup-parent: /x}",
    "--userns=host --runtime=runc": "{userns: host, runtime: runc}",
    "--oom-kill-disable --memory=64m": "{oom-kill-disable: true, memory: 64m}",
    "--health-cmd=true --health-interval=30s --health-retries=2 --health-timeout=1m30s": (
        "{health-cmd: 'true', health-interval: 30s, health-retries: 2, health-timeout: 1m30s}"
    ),
    "--no-healthcheck": "{no-healthcheck: true}",
    "--log-driver=json-file --log-opt=max-size=1m": (
        "{log-driver: json-file, log-opt: {max-size: 1m}}"
    ),
    "--storage-opt=size=1G": "{storage-opt: {size: 1G}}",
    "--memory=1m": "{memory: 1m}",
}


@pytest.mark.parametrize("flags", SAME)
def test_options_come_to_what_the_docker_command_makes_of_them(bench: Bench, flags: str) -> None:
    Path("profile.json").write_text('{"defaultAction": "SCMP_ACT_ALLOW"}')
    theirs = docker("create", "--init", *shlex.split(flags), TINY, "true")
    run = bench.new_run()
    engine, name = connect(address()), bench.backend.handle(run).rpartition("#")[2]
    program = Program(args=("true",), image=TINY, options=yaml.safe_load(SAME[flags]))
    made = container_options(program.options)
    body = create_body(program, run, made, {})
    if theirs.returncode:
        said = theirs.stderr.partition("Error response from daemon: ")[2].split("\n")[0]
        assert said
        with pytest.raises(APIError, match=re.escape(said.strip().rstrip("."))):
            create(engine, name, body, made.platform)
        return
    container = theirs.stdout.strip()
    try:
        create(engine, name, body, made.platform)
        assert facts(engine.inspect_container(name)) == facts(engine.inspect_container(container))
    finally:
        engine.remove_container(container, v=True)


def facts(info: dict[str, Any]) -> dict[str, Any]:
    """Take from a container what its options decide, without what is another way to say it."""
    config, host = info["Config"], info["HostConfig"]
    for name in ("AttachStdout", "AttachStderr", "AttachStdin", "StdinOnce", "OpenStdin"):
        config.pop(name, None)
    if re.fullmatch("[0-9a-f]{12}", config["Hostname"]):
        del config["Hostname"]
    for name in [name for name in config["Labels"] if name.startswith("jupyter_launch")]:
        del config["Labels"][name]
    if host["LogConfig"]["Type"] == "local" or not host["LogConfig"]["Config"]:
        del host["LogConfig"]
    config["Env"] = sorted(config["Env"] or [])
    host["Ulimits"] = sorted(map(str, host["Ulimits"] or []))
    for caps in ("CapAdd", "CapDrop"):
        host[caps] = [cap.removeprefix("CAP_") for cap in host[caps] or []]
    for name in ("RestartPolicy", "ConsoleSize"):
        host.pop(name, None)
    mounts = [(mount["Type"], mount["Destination"], mount["RW"]) for mount in info["Mounts"]]
    return {"config": prune(config), "host": prune(host), "mounts": sorted(mounts)}


def prune(value: Any) -> Any:
    """Leave out what is empty: null, [], {} and "" mean the same to the engine."""
    if isinstance(value, dict):
        pruned = {name: prune(item) for name, item in value.items()}
        return {n: v for n, v in pruned.items() if v not in (None, "", [], {}, 0, False, -1)}
    return [prune(item) for item in value] if isinstance(value, list) else value


def test_networks_of_ones_own(bench: Bench) -> None:
    network = f"jl-test-{new_id()}"
    assert not docker("network", "create", "--subnet=10.213.7.0/24", network).returncode
    try:
        options = {"network": network, "network-alias": "me", "ip": "10.213.7.77"}
        said = bench.read(bench.start(shell("hostname -i; nslookup me || true", **options)))
        assert said[STDOUT].startswith(b"10.213.7.77\n")
    finally:
        for handle in bench.handles:
            bench.backend.remove(handle)
        docker("network", "rm", network)


def test_options_reach_the_program(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "in").write_text("from the host")
    program = shell(
        "pwd; id -u; cat /in/in; echo; echo $A $B; ulimit -n",
        workdir="/some/where",
        user=4711,
        volume=f"{tmp_path}/shared:/in:ro",
        env={"B": "option"},
        ulimit="nofile=99:99",
    )
    said = bench.read(bench.start(program, A="given", B="given"))[STDOUT].decode().split("\n")
    assert said[:5] == ["/some/where", "4711", "from the host", "given option", "99"]


@pytest.mark.parametrize(
    ("image", "options", "folder"),
    [
        (TINY, {}, "/work"),
        (TINY, {"workdir": "/a/b"}, "/a/b"),
        (TINY, {"workdir": "/"}, "/"),
        (TINY, {"user": "4711:4711"}, "/work"),
        (PYTHON, {}, "/work"),
    ],
)
def test_files_are_where_the_program_runs(
    bench: Bench, image: str, options: dict[str, Any], folder: str
) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo("deep/in.txt")
        member.size = 5
        tar.addfile(member, io.BytesIO(b"hello"))
    program = Program(
        command=("sh", "-c", "pwd; cat deep/in.txt"),
        image=image,
        archive=packed.getvalue(),
        options=options,
    )
    assert bench.read(bench.start(program))[STDOUT].decode() == f"{folder}\nhello"


def test_entry_point_and_arguments(bench: Bench) -> None:
    def said(**program: Any) -> bytes:
        return bench.read(bench.start(Program(image=TINY, **program)))[STDOUT]

    assert said(args=("echo", "from", "args")) == b"from args\n"
    assert said(command=("echo", "own"), args=("and args",)) == b"own and args\n"
    assert said(args=("-c", "echo option"), options={"entrypoint": "sh"}) == b"option\n"


# -- failures -------------------------------------------------------------------------------------


def test_a_missing_image_says_what_to_do(bench: Bench) -> None:
    error = bench.fails(Program(command=("true",), image="localhost:1/no/such:image"))
    assert isinstance(error, ImageNotFound)
    assert "'localhost:1/no/such:image' is not on this engine, and pulling it failed: " in str(
        error
    )
    assert "docker login" in error.hint


def test_pull_never(bench: Bench) -> None:
    error = bench.fails(Program(image="no/such:image", options={"pull": "never"}))
    assert isinstance(error, ImageNotFound)
    assert "'never'" in error.message


def test_an_image_of_another_platform_is_not_there(bench: Bench) -> None:
    error = bench.fails(Program(args=("true",), image=TINY, options={"platform": "linux/s390x"}))
    assert isinstance(error, ImageNotFound)


def test_a_wrong_image_name_is_one(bench: Bench) -> None:
    error = bench.fails(Program(image="Not A Name"))
    assert isinstance(error, ImageNotFound)
    assert "reference" in error.message


@pytest.mark.parametrize("init", [True, False])
@pytest.mark.parametrize("program", ["no-such-program", "/no/such/program", "./no-such-program"])
def test_a_missing_entry_point_is_named(bench: Bench, program: str, init: bool) -> None:
    error = bench.fails(Program(command=(program,), image=TINY, options={"init": init}))
    assert isinstance(error, StartFailed)
    assert f"The program {program!r} was not found in image {TINY!r}" in error.message
    assert "entry_point" in error.hint


def test_what_the_engine_refuses_is_in_its_own_words(bench: Bench) -> None:
    error = bench.fails(shell("true", network="no-such-network"))
    assert isinstance(error, StartFailed)
    assert "no-such-network" in error.message


def test_entrypoint_option_and_own_command_contradict(bench: Bench) -> None:
    assert isinstance(bench.fails(shell("true", entrypoint="sh")), SpecError)


def test_running_out_of_memory_says_so(bench: Bench) -> None:
    program = Program(
        command=("python3", "-c", "x = 'x' * 500_000_000"),
        image=PYTHON,
        options={"memory": "32m", "memory-swap": "32m"},
    )
    result = bench.backend.result(bench.start(program))
    assert result.exit_code == 137
    assert result.reason == "out of memory: the limit was 32 MiB (option memory)"


def test_a_signal_is_named(bench: Bench) -> None:
    result = bench.backend.result(bench.start(shell("kill -SEGV $$")))
    assert (result.exit_code, result.reason) == (139, "ended by SIGSEGV")


def test_no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    began = time.monotonic()
    reason = LocalContainer().available()
    assert time.monotonic() - began < 1
    assert reason is not None
    assert f"unix://{tmp_path}/none.sock does not answer (no such file or directory)" in reason
    assert "local-process" in reason
    with pytest.raises(BackendUnavailable):
        LocalContainer().prepare(Program(image=TINY), Silent())


def test_the_current_docker_context_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert not docker("context", "create", "other", "--docker", "host=tcp://127.0.0.1:9").returncode
    assert not docker("context", "use", "other").returncode
    assert address() == "tcp://127.0.0.1:9"
    monkeypatch.setenv("DOCKER_CONTEXT", "default")
    assert address().endswith("docker.sock")
    monkeypatch.setenv("DOCKER_CONTEXT", "missing")
    assert "'missing'" in str(LocalContainer().available())


# -- starting once --------------------------------------------------------------------------------


def test_an_owner_that_died_between_create_and_start(bench: Bench) -> None:
    run = bench.new_run("s")
    handle = bench.backend.handle(run)
    program = shell("echo once")
    engine, name = connect(address()), handle.rpartition("#")[2]
    body = create_body(program, run, container_options({}), {})
    body["Labels"]["jupyter_launch.store"] = "s"
    create(engine, name, body, None)
    assert not bench.backend.find(handle)
    bench.backend.start(program, run, {})
    assert bench.read(handle)[STDOUT] == b"once\n"


def test_another_stores_container_is_left_alone(bench: Bench) -> None:
    run = bench.new_run("same-name-1")
    bench.backend.start(shell("echo theirs"), run, {})
    with pytest.raises(StartFailed, match="another store"):
        bench.backend.start(shell("echo ours"), run.evolve(store="same-name-2"), {})
    assert bench.read(bench.backend.handle(run))[STDOUT] == b"theirs\n"


def test_labels_tell_run_and_store(bench: Bench) -> None:
    run = bench.new_run("store1")
    bench.backend.start(shell("true", label={"mine": "1"}), run, {})
    name = bench.backend.handle(run).rpartition("#")[2]
    labels = connect(address()).inspect_container(name)["Config"]["Labels"]
    wanted = {"jupyter_launch.run": run.id, "jupyter_launch.store": "store1", "mine": "1"}
    assert labels.items() >= wanted.items()


def test_stopping_what_was_only_created_prevents_it(bench: Bench) -> None:
    run = bench.new_run()
    handle = bench.backend.handle(run)
    body = create_body(shell("true"), run, container_options({}), {})
    create(connect(address()), handle.rpartition("#")[2], body, None)
    bench.backend.stop(handle, 10)
    assert not exists(handle)


@pytest.mark.parametrize(
    ("flags", "ids"),
    [
        ((), None),
        (("--gpus=all",), []),
        (("--gpus=2",), ["0", "1"]),
        (("--gpus", '"device=1,GPU-7f"'), ["1", "GPU-7f"]),
    ],
)
def test_the_gpus_of_a_container_are_known(flags: tuple[str, ...], ids: list[str] | None) -> None:
    name = docker("create", *flags, TINY).stdout.strip()
    try:
        assert gpu_ids(json.loads(docker("inspect", name).stdout)[0]) == ids
    finally:
        docker("rm", name)


def test_memory_is_what_docker_stats_shows(bench: Bench) -> None:
    handle = bench.start(Program(command=("python3", "-c", HOLD_MEMORY), image=PYTHON))
    for batch in bench.backend.attach(handle, BEGINNING):
        if any(b"held" in frame.data for frame in batch):
            break
    name = handle.rpartition("#")[2]
    shown = docker("stats", "--no-stream", "--format={{.MemUsage}}", name).stdout
    used = bench.backend.stats(handle)
    assert used is not None
    assert float(shown.partition("MiB")[0]) == pytest.approx(used.memory / 2**20, rel=0.1)
    assert (used.gpu, used.gpu_memory) == (None, None)
    bench.backend.stop(handle, 0)
    assert bench.backend.stats(handle) is None


def test_remove_takes_anonymous_volumes_along(bench: Bench) -> None:
    handle = bench.start(shell("true", volume="/data"))
    bench.backend.result(handle)
    name = handle.rpartition("#")[2]
    [mount] = connect(address()).inspect_container(name)["Mounts"]
    bench.backend.remove(handle)
    assert docker("volume", "inspect", mount["Name"]).returncode


@pytest.mark.parametrize("user", [None, 0, 1000])
def test_whoever_the_program_is_it_can_write_outputs(bench: Bench, user: int | None) -> None:
    program = shell(f"id -u > {OUTPUTS}/who").evolve(user_id=user)
    handle = bench.start(program)
    assert bench.backend.result(handle).exit_code == 0
    (found,) = bench.backend.outputs(handle, ())
    assert (found.name, found.size) == ("who", len(f"{user or 0}\n"))


def test_outputs_are_found_by_another_process(bench: Bench) -> None:
    handle = bench.start(shell(f"echo 1 > {OUTPUTS}/one"))
    bench.backend.result(handle)
    assert [found.name for found in LocalContainer().outputs(handle, ())] == ["one"]
    empty = bench.start(shell("true"))
    bench.backend.result(empty)
    assert not [*bench.backend.outputs(empty, ()), *LocalContainer().outputs(empty, ())]


# -- output ---------------------------------------------------------------------------------------


def test_the_first_bytes_are_there(bench: Bench) -> None:
    for _ in range(5):
        assert bench.read(bench.start(Program(args=("echo", "first"), image=TINY))) == {
            STDOUT: b"first\n",
            STDERR: b"",
        }


MIXED = r"""
import os
for i in range(20_000):
    os.write(1, b"out %d \xff\xfe\n" % i)
    if not i % 7: os.write(2, b"err %d \x00\x80\n" % i)
os.write(1, b"no end")
"""
MIXED_SAID = {
    STDOUT: b"".join(b"out %d \xff\xfe\n" % i for i in range(20_000)) + b"no end",
    STDERR: b"".join(b"err %d \x00\x80\n" % i for i in range(0, 20_000, 7)),
}


def test_a_broken_attachment_is_resumed_where_it_broke(bench: Bench) -> None:
    """Each follower is another process's view: it hangs up in the middle, the next goes on."""
    program = Program(command=("python3", "-c", MIXED), image=PYTHON)
    handle = bench.start(program)
    said = {STDOUT: b"", STDERR: b""}
    for batches in (1, 2, 5, 3, 1_000_000):
        position = LogPosition(len(said[STDOUT]), len(said[STDERR]))
        follower = LocalContainer() if said[STDOUT] else bench.backend
        attached = follower.attach(handle, position)
        for _, batch in zip(range(batches), attached, strict=False):
            for stream, data in batch:
                said[stream] += data
    assert said == MIXED_SAID


# -- an engine that goes away ---------------------------------------------------------------------


class Relay:
    """A socket in front of the engine's, whose connections can be cut, and new ones refused."""

    def __init__(self, path: Path) -> None:
        engine = Path(address().removeprefix("unix://"))
        if not engine.exists():
            pytest.skip("the engine has no unix socket here")
        self.path, self.engine = path, str(engine)
        self.sockets: list[socket.socket] = []

    def open(self) -> None:
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(self.path))
        self.listen(server)

    def listen(self, server: socket.socket) -> None:
        server.listen(64)
        self.server = server
        threading.Thread(target=self._accept, args=(server,), daemon=True).start()

    def cut(self) -> None:
        self.path.unlink()
        for one in (self.server, *self.sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self.sockets.clear()

    def _accept(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = server.accept()
                engine = socket.socket(socket.AF_UNIX)
                engine.connect(self.engine)
                self.sockets += [client, engine]
                for pair in ((client, engine), (engine, client)):
                    threading.Thread(target=self._copy, args=pair, daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@pytest.fixture
def relay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Relay:
    made = Relay(tmp_path / "relay.sock")
    made.open()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{made.path}")
    return made


TICKS = "i=0; while [ $i -lt 60 ]; do echo line $i; i=$((i+1)); sleep 0.05; done; exit 7"


def test_output_and_result_survive_an_engine_that_goes_away(relay: Relay, bench: Bench) -> None:
    handle = bench.start(shell(TICKS))
    said, cuts = b"", 0
    for batch in bench.backend.attach(handle, BEGINNING):
        said += b"".join(frame.data for frame in batch)
        if said.count(b"\n") >= 15 * (cuts + 1) and cuts < 2:
            cuts += 1
            relay.cut()
            threading.Timer(0.4, relay.open).start()
    assert cuts == 2
    assert said.splitlines() == [b"line %d" % i for i in range(60)]
    assert bench.backend.result(handle).exit_code == 7


def test_waiting_for_the_result_survives_it_too(relay: Relay, bench: Bench) -> None:
    handle = bench.start(shell("sleep 1.5; exit 9"))
    threading.Timer(0.3, relay.cut).start()
    threading.Timer(0.8, relay.open).start()
    assert bench.backend.result(handle).exit_code == 9


def test_what_ends_while_the_engine_is_away_is_complete(relay: Relay, bench: Bench) -> None:
    handle = bench.start(shell("echo before; sleep 0.5; echo after; exit 3"))
    attached = bench.backend.attach(handle, BEGINNING)
    assert [frame.data for frame in next(attached)] == [b"before\n"]
    relay.cut()
    threading.Timer(1.2, relay.open).start()
    assert joined(attached)[STDOUT] == b"after\n"
    assert bench.backend.result(handle).exit_code == 3


@pytest.mark.skipif(not shutil.which("openssl"), reason="makes its certificates with openssl")
def test_an_engine_behind_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Client and server show the same certificate, its own authority; requests' own must lose."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    argv += ["-subj", "/CN=engine", "-addext", "subjectAltName=IP:127.0.0.1"]
    argv += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(argv, check=True, capture_output=True)
    shutil.copy(certificate, tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificate))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate, key)
    relay = Relay(tmp_path / "unused")
    server = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.getsockname()[1]}")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none"))
    relay.listen(context.wrap_socket(server, server_side=True))
    bench = Bench()
    try:
        assert bench.backend.available() is None
        handle = bench.start(shell("seq 2000; echo end >&2"))
        numbers = b"".join(b"%d\n" % i for i in range(1, 2001))
        assert bench.read(handle) == {STDOUT: numbers, STDERR: b"end\n"}
        assert bench.read(handle, LogPosition(1000, 1)) == {
            STDOUT: numbers[1000:],
            STDERR: b"nd\n",
        }
        assert bench.backend.result(handle).exit_code == 0
    finally:
        for handle in bench.handles:
            bench.backend.remove(handle)
