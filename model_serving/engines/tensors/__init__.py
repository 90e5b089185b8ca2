"""The code that TensorFlow and ONNX models share: both take tensors and give tensors."""
