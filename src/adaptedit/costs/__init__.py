"""What an editor and an adapter cost, from configs alone: parameters, FLOPs, memory."""
