"""The sections of a page, as blocks made from results."""
