"""Choices that accept everything but what the user has set."""


class Made:
    """`values` are those of the configuration, by dotted key; `given` keys keep theirs. `reasons` are by key too."""

    def __init__(self, values, given=()):
        self.values, self.given, self.reasons = dict(values), set(given), {}

    def value(self, key):
        return self.values.get(key)

    def choose(self, key, value, reason):
        if key not in self.values:
            return None
        if key not in self.given:
            self.values[key], self.reasons[key] = value, reason
        return self.values[key]
