"""What goes wrong with the local cluster, in one sentence for the user."""

from toolchain.errors import ToolchainError


class ClusterError(ToolchainError):
    """The local cluster can't be started, stopped or asked; the text says what, where and what to do."""
