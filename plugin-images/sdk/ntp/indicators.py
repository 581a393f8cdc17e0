"""O(1) indicators, equal to their window formulae."""
