"""Settings of the service: each is a ``FANKUI_…`` variable of the environment and a flag of ``fankui serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from model.cores import available_cores
from serving.errors import SettingsError


class ServiceSettings(BaseSettings):
    """What can be set; the description of each is its help text.

    ``max_items`` is ``FANKUI_MAX_ITEMS`` in the environment and ``--max-items`` on the command line. Keys are
    secrets and therefore have no flag.
    """

    model_config = SettingsConfigDict(
        env_prefix="FANKUI_", env_ignore_empty=True, frozen=True, extra="ignore", hide_input_in_errors=True
    )

    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    bundle: Path | None = Field(default=None, description="folder of a bundle; the shipped one by default")
    threads: int = Field(
        default=0, ge=0, le=256, description="threads inside one inference run; 0 divides the cores among the runs"
    )
    runners: int = Field(default=0, ge=0, le=64, description="inference runs at the same time; 0: one a core")

    max_items: int = Field(default=256, ge=1, le=10_000, description="items a request may hold")
    max_body_bytes: int = Field(default=4_194_304, ge=1024, description="bytes a request may hold")
    max_in_flight: int = Field(default=512, ge=1, description="requests answered at the same time; more get 429")
    request_timeout_s: float = Field(default=10.0, gt=0, le=600, description="seconds a request may take; then 504")

    batch_tokens: int = Field(default=2048, ge=1, description="estimated word pieces in one inference run")
    max_wait_ms: float = Field(
        default=50.0, ge=0, description="a text waiting longer is taken before better fitting ones"
    )
    queue_texts: int = Field(default=2048, ge=1, description="texts that may wait; more get 429")
    queue_tokens: int = Field(default=262_144, ge=1, description="estimated word pieces that may wait; more get 429")
    stuck_after_s: float = Field(default=30.0, gt=0, description="an inference run longer than this makes /readyz fail")
    drain_delay_s: float = Field(default=1.0, ge=0, le=60, description="seconds between SIGTERM and closing the port")
    drain_timeout_s: int = Field(
        default=20, ge=1, le=600, description="seconds that requests begun may still take then"
    )

    api_keys: SecretStr = Field(
        default=SecretStr(""), description="keys: NAME=KEY or NAME=sha256:HEX, separated by commas"
    )
    api_keys_file: Path | None = Field(default=None, description="file of such keys, one a line")
    rate_limit_per_s: float = Field(
        default=0.0, ge=0, description="requests a second and key (or address); 0 is no limit"
    )
    rate_burst: int = Field(default=20, ge=1, description="requests a key may send at once above that")
    cors_origins: str = Field(
        default="", description="origins that browsers may call from, separated by commas; none by default"
    )

    watch_bundle_s: float = Field(
        default=0.0, ge=0, description="look every so many seconds for a changed bundle; 0 never"
    )
    log_format: Literal["json", "text"] = Field(default="json", description="form of the log on standard error")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="least severe level logged"
    )

    @property
    def engine_runners(self) -> int:
        """Inference runs at the same time."""
        return self.runners or min(available_cores(), 64)

    @property
    def engine_threads(self) -> int:
        """Threads inside one inference run."""
        return self.threads or max(1, available_cores() // self.engine_runners)


def load_settings(**given: Any) -> ServiceSettings:
    """Settings from the environment, with what is given on top.

    Args:
        given: values by field name; None counts as not given.

    Raises:
        SettingsError: a value is not allowed; the message names the setting but never a secret's value.
    """
    try:
        return ServiceSettings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        raise SettingsError(f"setting {name} (FANKUI_{name.upper()}): {first['msg']}") from None
