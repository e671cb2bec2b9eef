"""What stands on any ground: namespaces and their isolation, model server, gateway, audit service."""
