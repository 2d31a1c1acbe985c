"""Composition and entry points: config, engines, simulation, evaluation, the command line."""
