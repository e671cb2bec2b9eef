"""The pack `sovereign`: every rule of the kit: where data may be, where it may go, how it is protected."""

from policies.start import serve

serve("sovereign")
