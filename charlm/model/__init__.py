"""The networks: embeddings, recurrent layers, dropouts, output layers, and counts beside them."""
