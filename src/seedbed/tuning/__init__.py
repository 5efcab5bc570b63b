"""Studies: what is searched, and what surrounds the search; the search itself is stages/tune.py."""

from seedbed.tuning.recipe import MedianPruning, Pruned, TuneRecipe

__all__ = ["MedianPruning", "Pruned", "TuneRecipe"]
