"""The sections of a page: results in, blocks out."""
