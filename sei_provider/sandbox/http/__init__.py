"""The sandbox's HTTP: routes, authentication, request models, responses, and the log of requests."""
