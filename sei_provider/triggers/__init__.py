"""Triggers: the triggerer runs them while tasks are deferred."""
