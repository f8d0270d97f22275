"""What a person sees: lines, tables, pictures, pages."""
