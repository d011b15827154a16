"""The annotator: a local server and its page, on which a person corrects the model's own prompts and masks."""
