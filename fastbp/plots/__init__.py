"""Pictures of training and of networks, as scikit-learn's displays."""
