"""Provider plugins of the kit: `core` is what any of them needs, each other package is one plugin."""
