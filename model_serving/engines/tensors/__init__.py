"""What TensorFlow and ONNX models have in common: tensors in, tensors out."""
