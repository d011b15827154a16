"""A page of HTML that says what a model does, whole in one file, and the same as data."""
