"""What differs from one frozen DiT to the next."""
