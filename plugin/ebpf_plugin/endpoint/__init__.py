"""Metrics over HTTP: how the process that serves them is started, and what it does."""
