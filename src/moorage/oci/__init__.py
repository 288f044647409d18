"""What the OCI specifications define: names, digests, descriptors, manifests. Pure, no I/O."""
