"""Weights that were signed, and nothing else: a manifest of digests, its signature, and the check of every
byte."""
