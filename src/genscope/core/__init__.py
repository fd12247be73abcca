"""The ground floor: errors, seeds, cards, examples, replies, records, the store, statistics and claims. Imports no torch."""
