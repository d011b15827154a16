"""Reports on a model as a self-contained HTML page and as JSON."""
