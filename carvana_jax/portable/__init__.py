"""Photos to masks without JAX: exported networks, run by ONNX Runtime.

These files, and those of other rooms that they import, need only NumPy, OpenCV,
Pillow and ONNX Runtime.
"""
