"""Each object of an image: prompts of its own, a mask, and a number in one instance map."""
