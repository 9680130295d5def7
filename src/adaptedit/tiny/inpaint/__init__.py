"""Removed things are filled from the picture itself: patches from elsewhere, joined without a seam."""
