"""New text from a stored model: decoders, filters, drawing, beams. No torch."""
