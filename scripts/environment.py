"""Bring up the real parts that the tests use, list them, and run a command that may use them.

python scripts/environment.py [COMMAND...]

As root on Debian or Ubuntu, what is missing is installed from the distribution's packages;
elsewhere nothing is installed. COMMAND finds in its environment:

JUPYTER_LAUNCH_TEST_MISSING    pytest's marks whose parts are missing, like "docker,browser"
JUPYTER_LAUNCH_TEST_CHROMIUM   the path of the browser, where there is one

With CI=true a missing part is a failure, and COMMAND is not run.
"""

import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import docker
from docker.errors import DockerException
from images import make_images

ROOT = Path(__file__).resolve().parent.parent
ENGINE_LOG = Path("/var/log/jupyter-launch-dockerd.log")
ENGINE_PID = Path("/run/jupyter-launch-dockerd.pid")
ENGINE_START_S = 60
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class Missing(Exception):
    """A part is not there, and why."""


def main(command: list[str]) -> int:
    """List the parts and become `command`; return an exit code where that is not to be."""
    install_packages()
    parts = [(name, mark, *look_for(part)) for name, mark, part in PARTS]
    missing = {mark for _, mark, present, _ in parts if not present}
    print("Parts for the tests:")
    for name, mark, present, detail in parts:
        skips = "" if present else f": skips the tests marked '{mark}'"
        print(f"  {name:<14} {'present' if present else 'MISSING'}   {detail}{skips}", flush=True)
    if missing and os.environ.get("CI") == "true":
        print("With CI=true every part must be there.", file=sys.stderr)
        return 1
    os.environ["JUPYTER_LAUNCH_TEST_MISSING"] = ",".join(sorted(missing))
    if command:
        os.execvp(command[0], command)
    return 0


def look_for(part: Callable[[], str]) -> tuple[bool, str]:
    """Bring up one part: whether it is there, and what exactly or why not."""
    try:
        return True, part()
    except Missing as reason:
        return False, str(reason)


def install_packages() -> None:
    """Install all that is missing in one go; the list of parts shows what could not be."""
    distribution = platform.freedesktop_os_release()["ID"] if sys.platform == "linux" else ""
    if os.geteuid() != 0 or distribution not in ("debian", "ubuntu"):
        return
    os.environ["PATH"] += ":/usr/sbin:/sbin"  # which a root's shell need not search
    wanted = {
        "busybox": "busybox-static",
        "docker-registry": "docker-registry",
    }
    if not engine_answers() and "DOCKER_HOST" not in os.environ:
        wanted |= {"dockerd": "docker.io", "iptables": "iptables"}
    if not browser() and distribution == "debian":  # Ubuntu's package only points to a snap
        wanted |= {"chromium": "chromium"}
    packages = [package for program, package in wanted.items() if not shutil.which(program)]
    packages += [] if server_programs() else ["postgresql"]
    if packages:
        quietly("apt-test", f"Installing {' '.join(packages)}", "scripts/apt-install", *packages)


def docker_engine() -> str:
    if not engine_answers():
        if "DOCKER_HOST" in os.environ:
            raise Missing(f"no engine answers at {os.environ['DOCKER_HOST']}")
        if os.geteuid() != 0 or not shutil.which("dockerd"):
            raise Missing("none answers this user here")
        start_engine()
    return str(docker.from_env().version()["Version"])


def engine_answers() -> bool:
    try:
        return bool(docker.from_env().ping())
    except DockerException:
        return False


def start_engine() -> None:
    """Start the machine's engine, by systemd where that is running; it stays for the next run."""
    if Path("/run/systemd/system").is_dir():
        quietly("engine", "Starting the Docker Engine", "systemctl", "start", "docker")
        return
    mount_cgroups()
    with ENGINE_LOG.open("wb") as log:
        engine = subprocess.Popen(
            ["dockerd"],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    ENGINE_PID.write_text(f"{engine.pid}\n")
    print(f"Starting the Docker Engine (pid {engine.pid}, {ENGINE_LOG}) ...", end="", flush=True)
    started = time.monotonic()
    while not engine_answers():
        if engine.poll() is not None or time.monotonic() > started + ENGINE_START_S:
            print(" FAILED")
            raise Missing(f"dockerd does not start; {ENGINE_LOG} tells why")
        time.sleep(0.1)
    print(f" done ({time.monotonic() - started:.0f} s)")


def mount_cgroups() -> None:
    """Mount the control groups where, without an init system, nothing has done so."""
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    if any(line.split()[2].startswith("cgroup") for line in mounts):
        return
    home = Path("/sys/fs/cgroup")
    mount("tmpfs", "mode=755", home)
    for line in Path("/proc/cgroups").read_text().splitlines()[1:]:
        controller, _, _, enabled = line.split()
        if enabled == "1":
            (home / controller).mkdir()
            mount("cgroup", controller, home / controller)


def mount(kind: str, options: str, where: Path) -> None:
    # not checked, because the engine itself tells best what it lacks
    subprocess.run(["mount", "-t", kind, "-o", options, "cgroup", where], check=False)


def test_images() -> str:
    if not engine_answers():
        raise Missing("they need the engine")
    if sys.platform != "linux" or not shutil.which("busybox"):
        raise Missing("they are made from a Linux machine's own Python and busybox")
    try:
        return ", ".join(make_images(docker.from_env()))
    except DockerException as error:
        raise Missing(f"they cannot be made ({error})") from error


def chromium() -> str:
    path = browser()
    if not path:
        raise Missing("none is installed here")
    os.environ["JUPYTER_LAUNCH_TEST_CHROMIUM"] = path
    return path


def browser() -> str | None:
    names = (os.environ.get("JUPYTER_LAUNCH_TEST_CHROMIUM", ""), *BROWSERS)
    return next(filter(None, map(shutil.which, names)), None)


def program(name: str) -> str:
    # scripts/front-end may have put a Node.js beside this Python
    path = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    if not path:
        raise Missing("not installed here")
    return path


def server_programs() -> Path | None:
    """Give the folder of a PostgreSQL server's programs, which Debian keeps out of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    elsewhere = shutil.which("initdb")
    if not found and elsewhere:
        found = [Path(elsewhere).resolve()]
    return found[-1].parent if found else None


def postgres() -> str:
    folder = server_programs()
    if folder is None:
        raise Missing("not installed here")
    command = [f"{folder}/postgres", "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return f"{said.strip().removeprefix('postgres (PostgreSQL) ')}, {folder}"


def jupyter() -> str:
    try:
        return ", ".join(f"{name} {version(name)}" for name in ("jupyterlab", "notebook"))
    except PackageNotFoundError as error:
        raise Missing(f"{error.name} is not installed in this environment") from None


def quietly(name: str, what: str, *command: str) -> None:
    subprocess.run([ROOT / "scripts/quietly", name, what, *command], check=False)


# What it is called, the pytest mark of the tests that need it, and how it is found or brought up.
PARTS: list[tuple[str, str, Callable[[], str]]] = [
    ("Docker Engine", "docker", docker_engine),
    ("test images", "docker", test_images),
    ("Chromium", "browser", chromium),
    ("Jupyter", "browser", jupyter),
    ("PostgreSQL", "postgres", postgres),
    ("registry", "registry", lambda: program("docker-registry")),
    ("Node.js", "node", lambda: program("node")),
]

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
