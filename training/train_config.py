"""The configuration of ``fankui train``: defaults, then a TOML file, then flags; every value checked and named."""

from __future__ import annotations

import dataclasses
import difflib
import math
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from training.errors import ConfigError
from training.own_data import WALLET, DataOptions

_Config = TypeVar("_Config")

_ENOUGH_STEPS: Final = 300
_MOST_EPOCHS: Final = 40
_LEAST: Final[Mapping[str, float]] = {
    "epochs": 1,
    "batch_size": 1,
    "max_tokens": 8,
    "learning_rate": 0,
    "patience": 0,
    "average": 1,
}
_RATES: Final = ((320, 3e-4), (512, 1e-4), (768, 4e-5))
_LARGE_RATE: Final = 2e-5


@dataclass(frozen=True)
class TrainOptions(DataOptions):
    """Everything that is said about a run but how to fine-tune.

    Attributes:
        out: the bundle's folder.
        base: a Hugging Face folder or a hub id; our encoder where None.
        resume: whether to go on with a stopped run.
        serving_copy: folder of a second copy with serving files only.
        public: public real rows; for the authored corpus.
        no_public: whether to learn from the authored corpus alone.
        unlabelled: files of texts without labels, learned from through ``teacher``.
        teacher: bundles that say what they think of them.
    """

    out: Path | None = None
    base: str | None = None
    resume: bool = False
    serving_copy: Path | None = None
    public: Path | None = None
    no_public: bool = False
    unlabelled: tuple[Path, ...] = ()
    teacher: tuple[Path, ...] = ()


def read_toml(path: Path) -> dict[str, Any]:
    """Settings of a configuration file; paths in it are taken from its own folder.

    Raises:
        ConfigError: the file is missing or is not TOML.
    """
    try:
        settings = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"no configuration file {path}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    hints = typing.get_type_hints(TrainOptions)
    for name, value in settings.items():
        if Path in (hints.get(name), *typing.get_args(hints.get(name))) and value != WALLET:
            values = value if isinstance(value, list) else [value]
            moved = [str(path.parent / one) if isinstance(one, str) else one for one in values]
            settings[name] = moved if isinstance(value, list) else moved[0]
    base = settings.get("base")
    if isinstance(base, str) and (path.parent / base).exists():
        settings["base"] = str(path.parent / base)
    return settings


def parse_setting(text: str) -> tuple[str, Any]:
    """``name=value`` with a TOML value, or a bare string.

    Raises:
        ConfigError: there is no ``=``.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--set takes name=value, such as --set smoothing=0.1; got {text!r}")
    try:
        return name.strip().replace("-", "_"), tomllib.loads(f"value = {value.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        return name.strip().replace("-", "_"), value.strip()


def split_settings(settings: Mapping[str, Any]) -> tuple[TrainOptions, dict[str, Any]]:
    """Options of the run, and settings of fine-tuning that `build` checks.

    Raises:
        ConfigError: an option has a value of the wrong type.
    """
    names = {field.name for field in dataclasses.fields(TrainOptions)}
    own = {name: value for name, value in settings.items() if name in names}
    return build(TrainOptions, own), {name: value for name, value in settings.items() if name not in names}


def build(kind: type[_Config], settings: Mapping[str, Any]) -> _Config:
    """An instance of a configuration class from settings.

    Args:
        kind: a dataclass whose fields have defaults.
        settings: field to value, as TOML gives them.

    Raises:
        ConfigError: a name is unknown or a value of the wrong type or out of range.
    """
    hints = typing.get_type_hints(kind)
    known = {name for name in hints if not name.startswith("_")}
    values = {}
    for name, value in settings.items():
        if name not in known:
            options = {*known, *(field.name for field in dataclasses.fields(TrainOptions))}
            near = difflib.get_close_matches(name, options, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(options))}"
            raise ConfigError(f"unknown setting {name!r}; {hint}")
        values[name] = _coerced(name, hints[name], value)
        if name in _LEAST and (values[name] < _LEAST[name] or (name == "learning_rate" and values[name] == 0)):
            raise ConfigError(
                f"{name} cannot be {value!r}; the least is {'above 0' if name == 'learning_rate' else _LEAST[name]}"
            )
    return kind(**values)


def _coerced(name: str, hint: Any, value: Any) -> Any:
    """A TOML value as the field wants it."""
    accepted = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    for one in accepted:
        origin = typing.get_origin(one) or one
        if one is bool and isinstance(value, bool):
            return value
        if isinstance(value, bool):
            continue
        if one is float and isinstance(value, int | float) and math.isfinite(value):
            return float(value)
        if one in (int, str) and isinstance(value, one):
            return value
        if one is Path and isinstance(value, str | Path):
            return Path(value)
        if origin is tuple:
            return tuple(_coerced(name, typing.get_args(one)[0], part) for part in _listed(value))
        if isinstance(value, Mapping) and isinstance(origin, type) and issubclass(origin, Mapping):
            return {str(key): _coerced(f"{name}.{key}", typing.get_args(one)[1], part) for key, part in value.items()}
    wanted = " or ".join(getattr(one, "__name__", str(one)) for one in accepted if one is not type(None))
    raise ConfigError(f"{name} cannot be {value!r}; it takes {wanted}")


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def suggested(hidden_size: int, n_train: int, batch_size: int, epochs: int) -> dict[str, Any]:
    """What suits a base and a set where nothing is said.

    Larger bases take smaller rates (Devlin et al. 2019, https://arxiv.org/abs/1810.04805, fine-tune 768 units at
    2e-5 to 5e-5); small sets take more epochs, because a few dozen steps move nothing.

    Args:
        hidden_size: of the base.
        n_train: training records.
        batch_size: records a step.
        epochs: for large sets.
    """
    rate = next((rate for size, rate in _RATES if hidden_size <= size), _LARGE_RATE)
    needed = math.ceil(_ENOUGH_STEPS * batch_size / max(n_train, 1))
    return {"learning_rate": rate, "epochs": max(epochs, min(needed, _MOST_EPOCHS))}
