"""How `tiny` itself is trained, in four stages: encoder, objects, backbone, adapter (see run.py).

What is tiny's own here, and not the paper's:

- The error is measured in pixels of the predicted picture x0: at each pixel the root of the mean square over
  the colour channels. The paper's is flow matching, whose error is the velocity's.
- Seven of eight samples have timestep 1, pure noise, because `tiny` edits in one step, which starts there.
- The first three stages. They make a small editor, which stands in for a large pre-trained one.

From the paper are, in the stage `adapter`: frozen backbone, adapters and MaskPredictor trained jointly, the
weighting of the Region-Aware Loss, and the decoupled mask loss.
"""
