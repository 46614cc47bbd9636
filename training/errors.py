"""Errors of the training room.

TrainingError
├── ConfigError        a configuration names something that is not there or not allowed
├── DataError          training data cannot be used: no rows, unknown labels, wrong columns
├── CheckpointError    a checkpoint is missing, broken or of another run
└── ParityError        an exported model does not agree with the trained one
"""


class TrainingError(Exception):
    """Base of everything the training room raises on purpose."""


class ConfigError(TrainingError):
    """A configuration names something that is not there or not allowed."""


class DataError(TrainingError):
    """Training data cannot be used."""


class CheckpointError(TrainingError):
    """A checkpoint is missing, broken or belongs to another run."""


class ParityError(TrainingError):
    """An exported model does not agree with the model it was exported from."""
