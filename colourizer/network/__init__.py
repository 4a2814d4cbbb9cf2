"""Networks on disk and on devices; the network itself is Model_CNN.py.

checkpoint    saving, loading, rebuilding
pretrained    ImageNet weights for the encoder
device        CPU, CUDA or MPS; autocast
prepare       a network made ready to predict; calls fast/
onnx_weights  smaller weights in an ONNX model
classic_cnn   the original project's network
perceptual    LPIPS, FID, KID, agreement of a classifier
fast/         kernels for prediction on x86
"""
