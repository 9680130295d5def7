"""Train `tiny`: encoder, then backbone, then adapter; each stage frozen before the next."""
