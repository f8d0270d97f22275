"""Classifiers from a trained language model: transfer, measuring, probabilities, vectors."""
