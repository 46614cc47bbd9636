"""``fankui serve``: answer over HTTP."""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
import time
from types import FrameType
from typing import TYPE_CHECKING

from serving.errors import SettingsError
from serving.settings import ServiceSettings, load_settings

if TYPE_CHECKING:
    from fastapi import FastAPI

_SECRET = ("api_keys",)
_EXAMPLE = """examples:
  fankui serve --port 8000
  curl -s localhost:8000/v1/classify -H 'Content-Type: application/json' -d '{"text": "转账一直失败，钱扣了对方没收到"}'

Each flag is also a variable of the environment: --max-items is FANKUI_MAX_ITEMS. API keys are FANKUI_API_KEYS or
--api-keys-file; `fankui serve --new-key desk` makes one, `fankui serve --new-key ops:admin` one that may reload."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fankui serve",
        description="Answer over HTTP until SIGTERM; the API is described at /docs.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    for name, field in ServiceSettings.model_fields.items():
        if name not in _SECRET:
            default = "" if field.default in (None, "") else f" ({field.default})"
            kind = name.rpartition("_")[2].upper()
            parser.add_argument(
                f"--{name.replace('_', '-')}", metavar=kind, help=f"{field.description}{default}".replace("%", "%%")
            )
    parser.add_argument("--new-key", metavar="NAME", help="print a fresh API key and its entry, and stop")
    return parser


def serve(argv: list[str]) -> int:
    """Run ``fankui serve``.

    Args:
        argv: arguments after the command.

    Returns:
        0 after a drained stop, 1 if requests had to be cut off, 2 for a wrong setting.

    Raises:
        BundleError: the bundle cannot be used.
        SettingsError: the port is taken.
    """
    given = vars(_parser().parse_args(argv))
    try:
        if "new_key" in given:
            return _print_key(given["new_key"])
        settings = load_settings(**given)
        from serving.security import KeyRing

        KeyRing(settings)
    except SettingsError as error:
        print(f"fankui serve: {error}", file=sys.stderr)
        return 2
    return _serve(settings)


def _print_key(name: str) -> int:
    from serving.security import new_key

    key, entry = new_key(name)
    print(f"key, for the caller:        {key}\nentry, for FANKUI_API_KEYS: {entry}")
    return 0


def _serve(settings: ServiceSettings) -> int:
    began = time.perf_counter()
    listener = _listen(settings.host, settings.port)
    from serving.app import create_app
    from serving.logs import configure

    configure(settings.log_format, settings.log_level)
    return run_app(create_app(settings), settings, listener, began)


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket, taken before the model is loaded: a taken port is said at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; choose another with --port"
        ) from None
    return listener


def run_app(app: FastAPI, settings: ServiceSettings, listener: socket.socket, began: float) -> int:
    """Run an app until SIGTERM or SIGINT.

    Args:
        app: from `serving.app.create_app`.
        settings: the same that the app was made with.
        listener: a bound socket.
        began: when the start began, by ``time.perf_counter``, for the line that says it is ready.

    Returns:
        0 after a drained stop, 1 if requests had to be cut off.
    """
    import uvicorn

    service = app.state.service

    class Server(uvicorn.Server):
        """Says when it is ready; on a signal first stops being ready, then closes the port and drains."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            self.running = asyncio.get_running_loop()
            await super().startup(sockets)
            if self.started:
                host = f"[{settings.host}]" if ":" in settings.host else settings.host
                took = time.perf_counter() - began
                where = f"http://{host}:{listener.getsockname()[1]}"
                print(f"fankui: ready on {where} (model {service.classifier.model_version}, {took:.1f} s)", flush=True)

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            # Not passed on to uvicorn, which would raise the signal again at the end and so never exit with 0.
            if service.draining:
                self.force_exit = self.should_exit = True
                return
            service.draining = True
            self.running.call_soon_threadsafe(self.running.call_later, settings.drain_delay_s, self._close)

        def _close(self) -> None:
            self.should_exit = True

    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, lifespan="on", timeout_keep_alive=30,
        timeout_graceful_shutdown=settings.drain_timeout_s, backlog=2048, ws="none",
    )  # fmt: skip
    server = Server(config)
    server.run(sockets=[listener])
    return 0 if server.started and not service.in_flight else 1
