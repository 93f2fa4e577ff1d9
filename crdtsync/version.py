"""The version of the library and the server; they are released together."""

__version__ = "0.1.0"
