"""The ground of any conformant cluster that a kubeconfig reaches."""
