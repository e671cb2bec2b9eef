"""The pack `residency`: where data, keys and state may be."""

from policies.start import serve

serve("residency")
