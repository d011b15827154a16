"""The frozen SAM: loading, encoding of images, decoding of prompts. This package does not depend on APM or IPS."""
