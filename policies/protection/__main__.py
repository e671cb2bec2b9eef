"""The pack `protection`: how data is protected where it is."""

from policies.start import serve

serve("protection")
