"""What is true: data with sources, and small pure functions over it. Imports nothing else of the kit."""
