"""The adapter of the paper, one file a part: config, condition, block, mask_predictor, injection, model."""
