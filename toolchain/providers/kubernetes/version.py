"""Which package and version the plugin stands in for."""

PACKAGE = "kubernetes"
VERSION = "4.34.2"
