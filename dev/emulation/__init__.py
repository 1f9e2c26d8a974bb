"""Run docker-compose.yaml without containers, because CI and most development machines have no container engine."""
