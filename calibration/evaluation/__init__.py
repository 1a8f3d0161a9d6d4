"""What `dermedge evaluate` is made of: figures with intervals, subgroups, leaks, the report."""
