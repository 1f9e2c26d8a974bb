"""Facts of the documents, a made-up organisation, its metrics, and their CSV. No HTTP, no faults."""
