"""Errors of the model room.

ModelError
├── BundleError           a bundle cannot be used
│   ├── BundleMissing     the folder or a file the manifest names is not there
│   └── BundleTampered    a file or the manifest is not what was released
└── EngineError           inference failed
"""

from typing import ClassVar


class ModelError(Exception):
    """Base of everything the model room raises on purpose.

    Attributes:
        code: short stable name.
    """

    code: ClassVar[str] = "model_error"


class BundleError(ModelError):
    """A bundle cannot be used."""

    code = "bundle_error"


class BundleMissing(BundleError):
    """The folder or a file the manifest names is not there."""

    code = "bundle_missing"


class BundleTampered(BundleError):
    """A file or the manifest is not what was released."""

    code = "bundle_tampered"


class EngineError(ModelError):
    """Inference failed."""

    code = "engine_error"
