"""Which SDK this stand-in is for; the data in aws.yaml is of the same version."""

PACKAGE = "aws"
VERSION = "7.51.1"
