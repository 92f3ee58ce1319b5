"""A trained network outside of fastbp's own kernels: its prediction as a list of plain steps."""
