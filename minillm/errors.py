"""What can go wrong, each kind with the exit status that the command line gives it."""


class MinillmError(Exception):
    """Base of every failure that minillm explains in one line."""

    exit_status = 1


class ConfigError(MinillmError, ValueError):
    """A setting, a flag or a folder that does not fit: the user's mistake."""

    exit_status = 2


class DataError(MinillmError, ValueError):
    """Text or a file that cannot be used as it is."""

    exit_status = 2


class CheckpointError(MinillmError, RuntimeError):
    """A checkpoint that is damaged, incomplete or of another model; nothing was changed."""

    exit_status = 2


class NumericalError(MinillmError, RuntimeError):
    """A loss, a gradient or a prediction that is not finite; the weights are untouched."""

    exit_status = 3
