"""The CUDA engine: the same networks on NVIDIA GPUs. Imported only when a fit asks for it."""
