"""Errors of the serving room.

    ServingError
    └── SettingsError        a setting is not allowed
"""


class ServingError(Exception):
    """Base of everything the serving room raises on purpose."""


class SettingsError(ServingError):
    """A setting is not allowed."""
