"""The app: classifier → batcher → routes, put together from settings."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from model.bundle import MANIFEST, default_folder
from model.classifier import Classifier
from model.errors import BundleError
from serving import openapi, problems
from serving.door import Door
from serving.gate import Gate
from serving.routes import router
from serving.security import KeyRing, RateLimiter
from serving.service import Service
from serving.settings import ServiceSettings, load_settings

_log = logging.getLogger("fankui.service")


def create_app(settings: ServiceSettings | None = None, classifier: Classifier | None = None) -> FastAPI:
    """Make the service.

    Start-up runs a real inference, so that an app that accepts requests can answer them.

    Args:
        settings: from the environment by default.
        classifier: the bundle that the settings name by default.

    Returns:
        An ASGI app; ``app.state.service`` is what its routes answer from.

    Raises:
        SettingsError: a setting is not allowed.
        BundleError: the bundle is missing, changed or malformed.
    """
    settings = settings or load_settings()
    keys = KeyRing(settings)
    service = Service(settings, classifier or Classifier.load(settings.bundle, settings.engine_threads))

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
        watch = asyncio.create_task(_watch(service)) if settings.watch_bundle_s else None
        try:
            yield
        finally:
            if watch is not None:
                watch.cancel()
            service.stop()

    app = FastAPI(
        title="fankui", lifespan=lifespan, redirect_slashes=False, redoc_url=None, swagger_ui_oauth2_redirect_url=None
    )
    app.state.service = service
    app.state.door = Door(
        settings, service, keys, RateLimiter(settings.rate_limit_per_s, settings.rate_burst, time.monotonic)
    )
    app.include_router(router)
    problems.install(app)
    app.openapi = lambda: openapi.document(app, service)  # type: ignore[method-assign]
    if origins := [origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()]:
        app.add_middleware(CORSMiddleware, allow_origins=origins, allow_methods=["GET", "POST"], allow_headers=["*"])
    app.add_middleware(Gate, service=service)
    return app


async def _watch(service: Service) -> None:
    """Reload the bundle when its manifest changes; a broken one is logged once and the old one goes on answering."""
    path = (service.settings.bundle or default_folder()) / MANIFEST
    seen = await asyncio.to_thread(_stamp, path)
    while True:
        await asyncio.sleep(service.settings.watch_bundle_s)
        found = await asyncio.to_thread(_stamp, path)
        if found == seen:
            continue
        seen = found
        try:
            await service.reload()
        except BundleError as error:
            _log.error("the changed bundle is refused: %s", error)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
