"""The front door of fankui: ``from fankui import Classifier``, and the ``fankui`` command.

A room is imported only when a command needs it, so that classifying a text never waits for torch.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from model.classifier import Classifier
    from model.decision import Prediction
    from serving.client import AsyncClient, Client

__version__ = "0.1.0"
__all__ = ["AsyncClient", "Classifier", "Client", "Prediction", "__version__", "main"]

EXIT_USAGE: Final = 2
EXIT_UNUSABLE: Final = 3

_ROOMS: Final = ("data", "model", "serving", "training")
_EXPORTS: Final = {
    "AsyncClient": "serving.client",
    "Classifier": "model.classifier",
    "Client": "serving.client",
    "Prediction": "model.decision",
}
_COMMANDS: Final = {
    "classify": ("model.commands", "classify", "label texts given as arguments or on standard input"),
    "label": ("serving.label_command", "label", "label a file of feedback"),
    "diff": ("serving.diff_command", "diff", "compare the labels of two files"),
    "serve": ("serving.serve_command", "serve", "answer over HTTP"),
    "train": ("training.train_command", "train", "fine-tune a base into a bundle (extra: train)"),
    "evaluate": ("training.evaluate_command", "evaluate", "measure a bundle on labelled records (extra: train)"),
    "release": ("training.release_command", "release", "hold a candidate to the release gate (extra: train)"),
    "pretrain": ("training.commands", "pretrain_encoder", "pretrain an encoder from text (extra: train)"),
    "data": ("data.commands", "data", "check and count the corpus, join public rows"),
}


def _check_rooms() -> None:
    """Make sure that the rooms are this front door's siblings, not a user's own modules of those names."""
    home = Path(__file__).resolve().parent
    for room in _ROOMS:
        spec = importlib.util.find_spec(room)
        found = Path(spec.origin).resolve() if spec and spec.origin else None
        if found != home / room / "__init__.py":
            raise ImportError(
                f"fankui's package {room!r} is shadowed by {found or 'nothing at all'}: rename that file or "
                "start Python with `python -P`, which leaves the current folder out of the search path"
            )


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'fankui' has no attribute {name!r}")
    _check_rooms()
    return getattr(importlib.import_module(_EXPORTS[name]), name)


def _usage() -> str:
    lines = [
        "usage: fankui COMMAND …",
        "",
        "Sorts Chinese wallet feedback by topic, urgency and more.",
        "",
        "commands:",
    ]
    lines += [f"  {name:<10} {help_line}" for name, (_, _, help_line) in _COMMANDS.items()]
    lines += [
        "",
        "options:",
        "  --version  print the version",
        "  --help     this text; `fankui COMMAND --help` for a command",
    ]
    lines += ["", "example:", "  fankui classify 昨晚有人在外地用我的账户刷了三笔"]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: arguments without the program's name; those of the process by default.

    Returns:
        The exit code: 0 done, 2 wrong usage, 3 input or bundle cannot be used, 4 rows unlabelled under --strict.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        return 0 if arguments else EXIT_USAGE
    if arguments[0] == "--version":
        print(f"fankui {__version__}")
        return 0
    if arguments[0] not in _COMMANDS:
        print(f"fankui: no command {arguments[0]!r}; commands are {', '.join(_COMMANDS)}", file=sys.stderr)
        return EXIT_USAGE
    return _run(*_COMMANDS[arguments[0]][:2], arguments[1:])


def _run(module: str, function: str, arguments: list[str]) -> int:
    try:
        _check_rooms()
        from data.errors import FeedbackError
        from model.errors import ModelError
        from serving.errors import ServingError
        from training.errors import TrainingError

        try:
            return int(getattr(importlib.import_module(module), function)(arguments))
        except (FeedbackError, ModelError, ServingError, TrainingError) as error:
            print(f"fankui: {error}", file=sys.stderr)
            return EXIT_UNUSABLE
    except ModuleNotFoundError as error:
        extra = "train" if module.startswith("training") else None
        if extra is None:
            raise
        print(f"fankui: {error.name} is not installed; pip install 'fankui[{extra}]'", file=sys.stderr)
        return EXIT_UNUSABLE
    except ImportError as error:
        print(f"fankui: {error}", file=sys.stderr)
        return EXIT_UNUSABLE
    except KeyboardInterrupt:
        print("fankui: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0


if __name__ == "__main__":
    sys.exit(main())
