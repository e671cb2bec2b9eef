"""The pack `egress`: where data may go."""

from policies.start import serve

serve("egress")
