"""Fill the holes that removed objects leave, with patches from the same picture, without visible seams."""
