"""The frozen model: load it, encode images, decode prompts. Nothing here knows of APM or IPS."""
