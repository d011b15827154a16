"""Export models as ONNX files, with a description and a program that runs them without PyTorch."""
