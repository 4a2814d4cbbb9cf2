"""Kernels for prediction on x86, with detection and fallback; the plain network is Model_CNN.

packed_conv        convolutions with weights laid out beforehand
quantized_decoder  the decoder in 8-bit integers
"""
