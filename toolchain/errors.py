"""What goes wrong in the toolchain, as sentences for the user: what, where, what to do."""


class ToolchainError(Exception):
    """The text is the whole message."""


class BuildError(ToolchainError):
    """A program can't be built, or isn't what it should be."""


class EngineError(ToolchainError):
    """The Pulumi engine can't be started, or can't do what it was asked."""
