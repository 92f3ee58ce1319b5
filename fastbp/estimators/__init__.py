"""The scikit-learn adapter: parameters, checks of the input, labels, fitted attributes."""
