"""TinyWorld: a generated language whose entropy is known exactly."""
