"""The words of the pages, English beside Korean, by part."""
