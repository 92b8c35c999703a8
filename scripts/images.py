"""Make the test images out of this machine's own files, for want of an image registry.

jupyter-launch-test/tiny     busybox alone, about 2 MB
jupyter-launch-test/python   this CPython, pip, the CA bundle, and busybox's shell

The second one also stands in for the package's default image, python:X.Y-slim, where that tag is
free. A file has the same path in the image as here, so that nothing needs to be relocated.
"""

import hashlib
import re
import shutil
import ssl
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import certifi
import docker
from docker.errors import ImageNotFound

TINY = "jupyter-launch-test/tiny"
PYTHON = "jupyter-launch-test/python"
STAND_IN = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
LABEL = "jupyter_launch.test"
RECIPE = "jupyter_launch.test.recipe"

# the Python that the virtual environment was made from
INTERPRETER = Path(sys.base_prefix, f"bin/python{sys.version_info.major}.{sys.version_info.minor}")
WHEELS_LOAD = ("libdl.so.2", "libgcc_s.so.1", "libpthread.so.0", "librt.so.1", "libstdc++.so.6")
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
NOT_NEEDED = ("test", "idlelib", "tkinter", "turtledemo", "config-*", "*.a", "*.opt-?.pyc")
NOT_OURS = ("site-packages", "dist-packages", "sitecustomize.py", "EXTERNALLY-MANAGED")


def make_images(client: docker.DockerClient) -> list[str]:
    """Make the images that are not there or that another recipe made; return all their names."""
    recipe = current_recipe()
    changes = [f"LABEL {LABEL}=1 {RECIPE}={recipe}"]
    if label(client, TINY, RECIPE) != recipe:
        import_image(client, TINY, fill_tiny, ['CMD ["sh"]', *changes])
    if label(client, PYTHON, RECIPE) != recipe:
        path = f"ENV PATH=/usr/local/bin:{INTERPRETER.parent}:/usr/bin:/bin"
        import_image(client, PYTHON, fill_python, ['CMD ["python3"]', path, *changes])
    check_python(client)
    if label(client, STAND_IN, LABEL) in (None, "1"):  # a real python:X.Y-slim is left alone
        client.images.get(PYTHON).tag(STAND_IN)
    client.images.prune({"dangling": True, "label": f"{LABEL}=1"})  # what these replaced
    return [TINY, PYTHON, STAND_IN]


def current_recipe() -> str:
    """Return a hash of what decides an image's content."""
    texts = [Path(__file__).read_text(), host_ca_bundle().read_text()]
    recipe = (sys.version, sys.base_prefix, version("pip"), *texts)
    return hashlib.sha256(repr(recipe).encode()).hexdigest()[:16]


def label(client: docker.DockerClient, image: str, name: str) -> str | None:
    """Return the label's value: "" where the image has none, None where there is no image."""
    try:
        return str(client.images.get(image).labels.get(name, ""))
    except ImageNotFound:
        return None


def import_image(
    client: docker.DockerClient, name: str, fill: Callable[[Path], None], changes: list[str]
) -> None:
    print(f"Making the image {name} ...", end="", flush=True)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as archive:
        fill(Path(folder))
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.add(folder, arcname=".", filter=owned_by_root)
        archive.seek(0)
        client.api.import_image(archive, repository=name, tag="latest", changes=changes)
    print(" done", flush=True)


def owned_by_root(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Let every user in the container read what its root owns, whatever the umask here was."""
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    info.mode |= 0o555 if info.isdir() or info.mode & 0o100 else 0o444
    return info


def fill_tiny(root: Path) -> None:
    """Lay out busybox under the names of all its programs, and the files that programs expect."""
    for folder in ("etc", "root", "tmp", "usr/bin"):
        (root / folder).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    users = "root:x:0:0:root:/root:/bin/sh", "nobody:x:65534:65534:nobody:/tmp:/bin/sh"
    (root / "etc/passwd").write_text("\n".join(users) + "\n")
    (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
    # without this, glibc asks a name server where localhost is
    (root / "etc/nsswitch.conf").write_text("hosts: files dns\n")

    busybox = Path(shutil.which("busybox") or "busybox")
    add_file(root, busybox, Path("/bin/busybox"))
    add_libraries(root, busybox)
    for program in set(output_of(busybox, "--list").split()) - {"busybox"}:
        (root / "bin" / program).symlink_to("busybox")
    (root / "usr/bin/env").symlink_to("/bin/busybox")  # where every "#!/usr/bin/env" looks


def fill_python(root: Path) -> None:
    """Lay out what `fill_tiny` does, and CPython with pip and everything that the two load."""
    fill_tiny(root)
    add_file(root, INTERPRETER)
    for name in ("python", "python3"):
        at(root, INTERPRETER.with_name(name)).symlink_to(INTERPRETER.name)
    library = Path(sysconfig.get_path("stdlib"))
    unwanted = shutil.ignore_patterns(*NOT_NEEDED, *NOT_OURS)
    shutil.copytree(library, at(root, library), symlinks=True, ignore=unwanted)
    add_libraries(root, INTERPRETER, *library.glob("lib-dynload/*.so"))
    add_pip(root)

    add_file(root, host_ca_bundle(), CA_BUNDLE)
    default = at(root, Path(ssl.get_default_verify_paths().openssl_cafile))
    if not default.exists():
        default.parent.mkdir(parents=True, exist_ok=True)
        default.symlink_to(CA_BUNDLE)


def add_pip(root: Path) -> None:
    """Add the virtual environment's pip, because the interpreter itself may come without one."""
    where = output_of(INTERPRETER, "-I", "-c", "import site; print(site.getsitepackages()[-1])")
    packages = at(root, Path(where.strip()))
    here = Path(sysconfig.get_path("purelib"))
    for folder in (here / "pip", *here.glob("pip-*.dist-info")):
        shutil.copytree(folder, packages / folder.name)
    script = at(root, INTERPRETER.with_name("pip"))
    script.write_text('#!/bin/sh\nexec python3 -m pip "$@"\n')
    script.chmod(0o755)


def add_libraries(root: Path, *programs: Path) -> None:
    """Add the shared libraries that these programs and extension modules are linked with."""
    # not checked, because to ldd a static program, which needs none, is an error
    listing = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False).stdout
    for path in map(Path, set(re.findall(r"(/\S+) \(0x", listing))):
        add_file(root, path)
        if path.name == "libc.so.6":
            for other in filter(Path.exists, map(path.with_name, WHEELS_LOAD)):
                add_file(root, other)


def output_of(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def add_file(root: Path, source: Path, target: Path | None = None) -> None:
    copy = at(root, target or source)
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, copy)


def at(root: Path, path: Path) -> Path:
    """Return where the absolute `path` lies under `root`."""
    return root / path.relative_to("/")


def host_ca_bundle() -> Path:
    """Return the CA bundle that programs here use; it may know more than the public authorities."""
    configured = ssl.get_default_verify_paths().cafile  # follows SSL_CERT_FILE
    candidates = (Path(configured or CA_BUNDLE), CA_BUNDLE, Path(certifi.where()))
    return next(path for path in candidates if path.is_file())


def check_python(client: docker.DockerClient) -> None:
    """Raise an error unless the Python image's interpreter finds its libraries and its pip."""
    command = ["python3", "-c", "import ctypes, lzma, pip, sqlite3, ssl"]
    client.containers.run(PYTHON, command, network_mode="none", remove=True)
