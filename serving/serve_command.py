"""``fankui serve``: answer over HTTP."""

from __future__ import annotations

import argparse
import socket
import sys
import time

from serving.errors import SettingsError
from serving.settings import ServiceSettings, load_settings

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
    from serving.server import Server

    configure(settings.log_format, settings.log_level)
    return Server(create_app(settings), settings, listener, began).run_to_end()


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
