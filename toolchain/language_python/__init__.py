"""A Python language host for the Pulumi engine, where the official `pulumi-language-python` is missing.

The official host isn't published where package registries are all that can be reached. This one runs programs
and policy packs of an existing virtual environment; it makes no environments and generates no code.
"""
