"""What a setting may be; refused by an error that names it, its value and the range."""

from __future__ import annotations

from minillm.errors import ConfigError


def require_positive(config: object, *names: str) -> None:
    """Refuse a count that is given and below one."""
    for name in names:
        value = getattr(config, name)
        if value is not None and value < 1:
            raise ConfigError(f"{name} must be positive, got {value}")


def require_fraction(config: object, *names: str) -> None:
    """Refuse a probability outside [0, 1)."""
    for name in names:
        value = getattr(config, name)
        if not 0.0 <= value < 1.0:
            raise ConfigError(f"{name} must be in [0, 1), got {value}")


def require_choice(config: object, name: str, choices: tuple[str, ...]) -> None:
    """Refuse a word that is not one of the choices."""
    if getattr(config, name) not in choices:
        raise ConfigError(f"{name} must be {' or '.join(choices)}, got {getattr(config, name)!r}")
