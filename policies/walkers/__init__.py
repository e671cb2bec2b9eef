"""What a string says when it is read in its context: hosts and addresses, images, regions and ARNs."""
