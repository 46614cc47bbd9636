"""An environment of its own for each server."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from benchmarks.serving.peers import ROOT, Peer


class InstallError(Exception):
    """A server's packages cannot be installed; the message is the end of what pip said."""


def python_of(peer: Peer, folder: Path) -> Path:
    """The interpreter a server runs in; its environment is made unless it is there.

    Args:
        peer: the server.
        folder: where environments lie.

    Raises:
        InstallError: pip failed.
    """
    if not peer.requirements:
        return Path(sys.executable)
    home = (folder / peer.name.lower()).resolve()
    python, stamp = home / "bin" / "python", home / "installed"
    wanted = hashlib.sha256("\n".join(peer.requirements).encode()).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return python
    _run([sys.executable, "-m", "venv", "--clear", str(home)])
    # Our own torch is asked for, so that pip does not fetch a build for graphics cards.
    torch = [f"torch=={_torch_version()}"] if "torch" in "".join(peer.requirements) else []
    _run([str(python), "-m", "pip", "install", "--quiet", *peer.requirements, *torch])
    stamp.write_text(wanted)
    return python


def _torch_version() -> str:
    import torch

    return str(torch.__version__)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        last = [line for line in (done.stdout + done.stderr).strip().splitlines() if line.strip()][-3:]
        raise InstallError(" ".join(last)[-300:])
