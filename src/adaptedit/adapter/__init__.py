"""The adapter of the paper, one file for each part: config, condition, block, mask_predictor, model."""
