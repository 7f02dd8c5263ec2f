"""The version, said once: the package, the wheel and the documentation read it here."""

__version__ = "0.1.0"
