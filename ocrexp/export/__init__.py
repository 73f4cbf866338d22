"""Exports a trained run to a folder that runs without the training code, and compares both (the parity gate)."""
