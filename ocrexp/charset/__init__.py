"""The characters of a recognizer: dictionaries, normalization, direction, and what their classes mean."""
