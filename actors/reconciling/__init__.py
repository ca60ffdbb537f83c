"""The reconciler's parts: evidence of a pass, verdicts on orders, wallet truth, the venue's link.

`actors.reconciler` is the actor that puts them together.
"""
