"""The pack `egress`: where data may go."""

from policies.pack import serve

serve("egress")
