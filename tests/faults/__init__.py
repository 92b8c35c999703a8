"""Faults on purpose: real processes are killed, real engines and servers end, clocks jump.

In the short form a part of ``make test``; ``make soak`` runs the long one and prints the figures.
"""
