"""The pack `residency`: where data, keys and state may be."""

from policies.pack import serve

serve("residency")
