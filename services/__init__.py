"""The programs that the cluster runs. Each stands alone: nothing else of the kit is imported."""
