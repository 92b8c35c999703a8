"""What an agent's owner allows the items of its queues to ask for."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_launch.asking import Request, requests
from jupyter_launch.errors import ConfigError, SpecError
from jupyter_launch.policy import Allow, read_allow
from jupyter_launch.program import Program
from jupyter_launch.recipe import Recipe
from jupyter_launch.spec import LaunchSpec

CONTAINER = "local-container"
SAFE = Allow()
FLAGS = ("privileged", "network_host", "docker_socket", "host", "secrets")
ANYTHING = Allow(
    volumes=("/", "*"),
    secrets=("*",),
    privileged=True,
    network_host=True,
    docker_socket=True,
    host=True,
)


def check(
    options: dict[str, Any], allow: Allow = SAFE, trusted: dict[str, Any] | None = None
) -> None:
    allow.check(CONTAINER, Program(image="tiny", options=options), trusted or {})


def refused(
    options: dict[str, Any], allow: Allow = SAFE, trusted: dict[str, Any] | None = None
) -> str:
    with pytest.raises(SpecError) as failure:
        check(options, allow, trusted)
    return failure.value.field.removeprefix("agent.allow.")


HARMLESS: list[dict[str, Any]] = [
    {"memory": "1g", "cpus": 2, "gpus": "all", "shm-size": "1g", "env": ["A=b"], "label": "a=b"},
    {"publish": "8080:80", "network": "none", "tmpfs": "/tmp", "user": "1000"},
    {"volume": "/inside"},
    {"mount": "type=tmpfs,target=/t"},
    {"ipc": "private", "security-opt": "no-new-privileges", "cap-drop": "ALL"},
    {"device": "nvidia.com/gpu=0"},
    {"privileged": False, "oom-kill-disable": False},
]
RULES: list[tuple[str, dict[str, Any]]] = [
    ("privileged", {"privileged": True}),
    ("privileged", {"privileged": "true"}),
    ("network_host", {"network": "host"}),
    ("network_host", {"net": "host"}),
    ("network_host", {"network": ["bridge", "host"]}),
    ("network_host", {"network": "name=host,alias=x"}),
    ("volumes", {"volume": "/etc:/x"}),
    ("volumes", {"v": ["/inside", "/etc/passwd:/x:ro"]}),
    ("volumes", {"volume": "~:/x"}),
    ("volumes", {"volume": ".:/x"}),
    ("volumes", {"mount": "type=bind,source=/etc,target=/x"}),
    ("volumes", {"mount": {"type": "bind", "src": "/etc", "dst": "/x"}}),
    ("volumes", {"volume": "somebodys-database:/x"}),
    ("volumes", {"mount": "source=somebodys-database,target=/x"}),
    ("host", {"mount": "target=/x,volume-opt=type=none,volume-opt=o=bind,volume-opt=device=/etc"}),
    ("host", {"mount": "type=npipe,source=a,target=/x"}),
    ("host", {"volume-driver": "nfs"}),
    ("host", {"volumes-from": "other"}),
    ("host", {"pid": "host"}),
    ("host", {"pid": "container:other"}),
    ("host", {"ipc": "host"}),
    ("host", {"uts": "host"}),
    ("host", {"userns": "host"}),
    ("host", {"cgroupns": "host"}),
    ("host", {"cgroup-parent": "/system.slice"}),
    ("host", {"network": "container:other"}),
    ("host", {"device": "/dev/sda"}),
    ("host", {"device": "vendor.com/disk=0"}),
    ("host", {"device-cgroup-rule": "a *:* rwm"}),
    ("host", {"cap-add": "SYS_ADMIN"}),
    ("host", {"security-opt": "seccomp=unconfined"}),
    ("host", {"security-opt": "apparmor:unconfined"}),
    ("host", {"security-opt": "systempaths=unconfined"}),
    ("host", {"env-file": "/root/secrets"}),
    ("host", {"oom-kill-disable": True}),
    ("host", {"link": "somebodys-database:db"}),
    ("host", {"annotation": "org.systemd.property.TasksMax=1"}),
    ("secrets", {"env": "AWS_SECRET_ACCESS_KEY"}),
    ("secrets", {"e": ["A=b", "AWS_SECRET_ACCESS_KEY"]}),
    ("host", {"oom-score-adj": -1000}),
    ("docker_socket", {"volume": "/var/run/docker.sock:/x"}),
    ("docker_socket", {"volume": "/var/run/../run/docker.sock:/x"}),
    ("docker_socket", {"volume": "/var/run:/x"}),
    ("docker_socket", {"volume": "/:/x"}),
    ("docker_socket", {"mount": "type=bind,source=//var//run/docker.sock,target=/x"}),
]


@pytest.mark.parametrize("options", HARMLESS)
def test_what_stays_in_its_container_is_allowed(options: dict[str, Any]) -> None:
    check(options)


@pytest.mark.parametrize(("rule", "options"), RULES)
def test_what_reaches_out_of_it_is_refused(rule: str, options: dict[str, Any]) -> None:
    assert refused(options) == rule


@pytest.mark.parametrize(("rule", "options"), RULES)
def test_what_the_queues_own_config_asks_for_is_not(rule: str, options: dict[str, Any]) -> None:
    check({**options, "memory": "1g"}, trusted=options)
    check(options, ANYTHING)
    assert rule in {*FLAGS, "volumes"}


def test_an_item_adds_nothing_to_what_the_queue_may() -> None:
    queue = {"volume": ["/data:/d"], "cap-add": ["NET_ADMIN"]}
    assert refused({**queue, "volume": ["/data:/d", "/etc:/e"]}, trusted=queue) == "volumes"
    assert refused({**queue, "cap-add": ["NET_ADMIN", "SYS_ADMIN"]}, trusted=queue) == "host"
    assert refused({**queue, "privileged": True}, trusted=queue) == "privileged"
    check({**queue, "volume": ["/data:/elsewhere:ro"]}, trusted=queue)


def test_the_refusal_says_what_to_write() -> None:
    with pytest.raises(SpecError) as failure:
        check({"volume": "/etc:/x"}, Allow(volumes=("/data",)))
    assert str(failure.value) == (
        "This agent does not allow '/etc': its rule agent.allow.volumes is /data.\n"
        'The agent\'s owner would allow it by setting agent.allow.volumes = ["/etc"].'
    )


class TestVolumes:
    @pytest.fixture
    def data(self, tmp_path: Path) -> Path:
        data = tmp_path / "data"
        (data / "set").mkdir(parents=True)
        (tmp_path / "database").mkdir()
        return data

    def test_folders_below_a_root_are_allowed(self, data: Path) -> None:
        allow = Allow(volumes=(str(data),))
        check({"volume": [f"{data}:/a", f"{data}/set:/b:ro", f"{data}/not/there:/c"]}, allow)

    @pytest.mark.parametrize("path", ["../etc", "set/../..", "base", "../data/../database"])
    def test_no_way_leads_out_of_it(self, data: Path, path: str) -> None:
        target = f"{data}base" if path == "base" else f"{data}/{path}"
        assert refused({"volume": f"{target}:/x"}, Allow(volumes=(str(data),))) == "volumes"

    def test_no_link_leads_out_of_it(self, data: Path) -> None:
        (data / "link").symlink_to("/etc")
        (data / "far").symlink_to(data / "set")
        allow = Allow(volumes=(str(data),))
        assert refused({"volume": f"{data}/link:/x"}, allow) == "volumes"
        assert refused({"volume": f"{data}/link/ssl:/x"}, allow) == "volumes"
        check({"volume": f"{data}/far:/x"}, allow)

    def test_a_root_may_be_a_link(self, data: Path, tmp_path: Path) -> None:
        (tmp_path / "root").symlink_to(data)
        allow = Allow(volumes=(str(tmp_path / "root"),))
        check({"volume": [f"{tmp_path}/root/set:/x", f"{data}/set:/y"]}, allow)

    def test_volumes_are_allowed_by_name(self) -> None:
        allow = Allow(volumes=("scratch-*", "/data"))
        check({"volume": "scratch-1:/x"}, allow)
        assert refused({"volume": "data:/x"}, allow) == "volumes"
        assert refused({"volume": "/scratch-1:/x"}, allow) == "volumes"

    def test_a_socket_needs_its_own_rule_whatever_the_folders(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "engine.sock"
        monkeypatch.chdir(tmp_path)
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("engine.sock")
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        (tmp_path / "innocent").symlink_to(path)
        everything = Allow(volumes=("/", "*"))
        for source in (path, tmp_path, tmp_path / "innocent", "/"):
            assert refused({"volume": f"{source}:/x"}, everything) == "docker_socket"
        check({"volume": f"{path}:/x"}, Allow(docker_socket=True))
        assert refused({"volume": f"{tmp_path}:/x"}, Allow(docker_socket=True)) == "volumes"

    @given(st.text(st.sampled_from("abd./"), max_size=12))
    def test_nothing_outside_is_ever_allowed(self, path: str) -> None:
        real = os.path.realpath(f"/ab/{path}")
        allowed = Allow(volumes=("/ab/d",)).allows(Request("volumes", real))
        assert allowed == (real == "/ab/d" or real.startswith("/ab/d/"))


@pytest.mark.parametrize(
    ("image", "pattern", "allowed"),
    [
        ("python:3.11", "python:3*", True),
        ("docker.io/library/python:3.11", "python:3*", True),
        ("python:3.11", "docker.io/library/python:3*", True),
        ("python:2.7", "python:3*", False),
        ("python", "python:latest", True),
        ("python", "python", True),
        ("python:3", "python", False),
        ("evil/python:3.11", "python:3*", False),
        ("localhost/python:3.11", "python:3*", False),
        ("ghcr.io/team/tool:1", "ghcr.io/team/*", True),
        ("ghcr.io/team/a/b@sha256:00", "ghcr.io/team/*", True),
        ("ghcr.io/teams/tool", "ghcr.io/team/*", False),
        ("team/tool", "team/*", True),
        ("docker.io/team/tool:1", "team/*", True),
        ("ghcr.io/team/tool", "team/*", False),
        ("localhost:5000/x", "localhost:5000/*", True),
        ("localhost:5000/x", "*", True),
        ("sha256:0123", "python:3*", False),
    ],
)
def test_images_are_allowed_by_pattern(image: str, pattern: str, *, allowed: bool) -> None:
    assert Allow(images=("x", pattern)).allows(Request("images", image)) == allowed


def test_what_an_image_is_built_on_counts() -> None:
    allow = Allow(images=("python:3*",))

    def build(text: str) -> None:
        recipe = Recipe(base="python:3.11", dockerfile=text)
        allow.check(CONTAINER, Program(image="python:3.11", build=recipe), {})

    build("FROM python:3.11\nRUN true")
    build("ARG A=1\nfrom --platform=linux/amd64 python:3.12 as one\nFROM one\nFROM scratch AS b")
    build(
        "# syntax=docker/dockerfile:1\nFROM python:3 AS a\nCOPY --from=a /x /x\nCOPY --from=0 /y /y"
    )
    base = "FROM python:3\n"
    for text in (
        f"{base}COPY --from=evil / /",
        f"{base}RUN --mount=type=bind,from=evil,target=/x true",
    ):
        with pytest.raises(SpecError, match="does not allow 'evil'"):
            build(text)
    with pytest.raises(SpecError, match="does not allow 'evil/frontend'"):
        build(f"# syntax = evil/frontend\n{base}")
    for text in ("FROM evil\n", "FROM python:3 AS a\n  FROM evil:1\n", "ARG A=evil\nFROM $A\n"):
        with pytest.raises(SpecError, match=r"agent\.allow\.images is python:3\*"):
            build(text)


@pytest.mark.parametrize(
    "text",
    [
        "FROM evil\nFROM python:3 AS evil",
        "FROM evil AS evil",
        "FR\\\nOM evil",
        "FR\\  \n\n# a comment\nOM evil",
        "# escape=`\nFR`\nOM evil",
        "RUN echo \\\nFROM python:3 AS evil\nFROM evil",
        "RUN <<EOF\nFROM python:3 AS evil\nEOF\nFROM evil",
        'RUN <<"#x"\na\\\n#x\nFROM evil',
        "\ufeffFROM evil",
        "FROM python:3\r\nFROM evil\r\n",
        'COPY --from="evil" / /',
        "COPY --fr\\om=evil / /",
        "COPY --from=ev\\\nil / /",
        'RUN --mount=type=bind,"from=evil",target=/x true',
        "COPY --from=later / /\nFROM python:3 AS later",
        "// syntax=evil\nFROM python:3",
        '{"syntax": "evil"}',
    ],
)
def test_no_image_of_a_dockerfile_is_overlooked(text: str) -> None:
    recipe = Recipe(base="python:3", dockerfile=text)
    with pytest.raises(SpecError, match=r"agent\.allow\.images is python:3"):
        Allow(images=("python:3",)).check(CONTAINER, Program(image="python:3", build=recipe), {})


def test_what_is_pushed_and_what_is_mounted_are_images_too() -> None:
    allow = Allow(images=("python:3",))
    recipe = Recipe(base="python:3", dockerfile="FROM python:3", repository="ghcr.io/team/x")
    with pytest.raises(SpecError, match=r"does not allow 'ghcr.io/team/x'"):
        allow.check(CONTAINER, Program(image="python:3", build=recipe), {})
    options = {"mount": "type=image,source=private/image,target=/x"}
    with pytest.raises(SpecError, match="does not allow 'private/image'"):
        allow.check(CONTAINER, Program(image="python:3", options=options), {})
    check(options)


def test_the_agents_pip_settings_are_its_own() -> None:
    recipe = Recipe(base="python:3", dockerfile="FROM python:3", inherit_pip_config=True)
    with pytest.raises(
        SpecError, match=r"'build\.inherit_pip_config': its rule agent\.allow\.host"
    ):
        SAFE.check(CONTAINER, Program(image="python:3", build=recipe), {})


class TestSources:
    def spec(self, **data: Any) -> LaunchSpec:
        return LaunchSpec.from_dict({"uri": "https://git.example/x", **data})

    @pytest.mark.parametrize("field", [{"secrets": ["AWS_KEY"]}, {"git": {"token": "AWS_KEY"}}])
    def test_secrets_are_allowed_by_name(self, field: dict[str, Any]) -> None:
        spec = self.spec(**field)
        for allow in (SAFE, Allow(secrets=("HF_*", "aws_key", "AWS"))):
            with pytest.raises(SpecError, match=r"'AWS_KEY': its rule agent\.allow\.secrets"):
                allow.check_source(spec)
        Allow(secrets=("HF_*", "AWS_*")).check_source(spec)

    def test_what_every_program_gets_may_be_named(self) -> None:
        SAFE.check_source(self.spec(secrets=["WANDB_API_KEY"]))

    @pytest.mark.parametrize(
        "uri", ["/srv/private", "file:///srv/private", "~/private", "FILE:///x"]
    )
    def test_repositories_of_the_agents_machine_are_its_own(self, uri: str) -> None:
        with pytest.raises(SpecError, match=r"its rule agent\.allow\.host is false"):
            SAFE.check_source(self.spec(uri=uri))
        Allow(host=True).check_source(self.spec(uri=uri))
        made = {"version": "a" * 40, "snapshot": f"{'a' * 40}/{'0' * 64}"}
        SAFE.check_source(self.spec(uri=uri, git=made))
        with pytest.raises(SpecError):
            SAFE.check_source(self.spec(uri=uri, git={**made, "version": "b" * 40}))


def test_resources_are_allowed_by_name() -> None:
    only = Allow(resources=(CONTAINER,))
    check({}, only)
    for strict in (only, SAFE):
        with pytest.raises(SpecError, match="does not allow 'local-process'"):
            strict.check("local-process", Program(command=("true",)), {})
    Allow(resources=("local-*",)).check("local-process", Program(command=("true",)), {})


OPTIONS = st.lists(st.sampled_from([*HARMLESS, *(options for _, options in RULES)]), max_size=4)


@given(OPTIONS, OPTIONS)
def test_exactly_what_goes_beyond_the_queue_is_refused(
    mine: list[dict[str, Any]], theirs: list[dict[str, Any]]
) -> None:
    def merged(parts: list[dict[str, Any]]) -> dict[str, Any]:
        whole: dict[str, Any] = {}
        for part in parts:
            whole |= {
                {"net": "network", "v": "volume", "e": "env"}.get(k, k): v for k, v in part.items()
            }
        return whole

    queue, item = merged(theirs), merged([*theirs, *mine])
    beyond = [one for one in requests(item) if one not in set(requests(queue))]
    try:
        check(item, trusted=queue)
    except SpecError:
        assert any(not SAFE.allows(one) for one in beyond)
    else:
        assert all(SAFE.allows(one) for one in beyond)


class TestSettings:
    def jupyter(self, text: str, name: str = "jupyter_launch_config.json") -> None:
        folder = Path(os.environ["JUPYTER_CONFIG_DIR"])
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(text)

    def test_the_default_is_safe(self) -> None:
        assert read_allow() == Allow()

    def test_where_all_items_are_ones_own_they_may_have_its_secrets(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert read_allow(private=True) == Allow(resources=("*",), secrets=("*",))
        monkeypatch.setenv("JUPYTER_LAUNCH_AGENT_ALLOW_SECRETS", "HF_*, WANDB_*")
        assert read_allow(private=True).secrets == ("HF_*", "WANDB_*")
        monkeypatch.setenv("JUPYTER_LAUNCH_AGENT_ALLOW_SECRETS", "none")
        assert read_allow(private=True).secrets == ()

    def test_they_are_read_from_jupyters_configuration(self) -> None:
        allow = {"images": ["ghcr.io/team/*", "python:3*"], "volumes": [], "network_host": True}
        self.jupyter(json.dumps({"LaunchMagics": {"agent": {"allow": allow}}}))
        assert read_allow() == Allow(images=("ghcr.io/team/*", "python:3*"), network_host=True)

    def test_or_written_in_python(self) -> None:
        text = "c.LaunchMagics.agent_allow_resources = ['local-container']\n"
        text += "c.LaunchMagics.agent_allow_host = False\n"
        self.jupyter(text, "jupyter_launch_config.py")
        assert read_allow() == Allow(resources=(CONTAINER,))

    def test_and_from_the_environment_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.jupyter(json.dumps({"LaunchMagics": {"agent_allow_volumes": ["/data"]}}))
        monkeypatch.setenv("JUPYTER_LAUNCH_AGENT_ALLOW_VOLUMES", "/scratch, cache-*")
        assert read_allow().volumes == ("/scratch", "cache-*")

    def test_an_empty_list_is_nothing_and_not_the_default(self) -> None:
        allow: dict[str, Any] = {"resources": [], "images": []}
        self.jupyter(json.dumps({"LaunchMagics": {"agent": {"allow": allow}}}))
        assert read_allow() == Allow(resources=(), images=())

    @pytest.mark.parametrize(
        ("allow", "message"),
        [
            ({"privileged": "maybe"}, "must be true or false, not 'maybe'"),
            ({"privileged": [True]}, "must be a single value, and is a list"),
            ({"volumes": ["data/x"]}, "has 'data/x', which is no absolute path"),
            ({"volumes": [1]}, "must be a list of texts without commas"),
            ({"images": ["a,*"]}, "must be a list of texts without commas"),
            ({"image": ["a"]}, "a setting nobody knows: agent.allow.image"),
            ({"images": {"a": 1}}, "a setting nobody knows: agent.allow.images.a"),
        ],
    )
    def test_a_wrong_one_is_named(self, allow: dict[str, Any], message: str) -> None:
        self.jupyter(json.dumps({"LaunchMagics": {"agent": {"allow": allow}}}))
        with pytest.raises(ConfigError) as failure:
            read_allow()
        assert message in str(failure.value)

    def test_no_project_decides_them(self) -> None:
        Path(".jupyter-launch.yaml").write_text("agent: {allow: {privileged: true}}\n")
        assert read_allow() == Allow()
        from jupyter_launch.config import setting  # noqa: PLC0415

        with pytest.raises(ConfigError, match="which no project decides"):
            setting("queue")
