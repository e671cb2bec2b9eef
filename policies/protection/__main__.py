"""The pack `protection`: how data is protected where it is."""

from policies.pack import serve

serve("protection")
