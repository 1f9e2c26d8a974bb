"""What the triggerer runs while tasks are deferred."""
