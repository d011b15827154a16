"""Models as ONNX files, with a description of them and a program that runs them without PyTorch."""
