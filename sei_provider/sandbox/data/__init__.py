"""What the sandbox answers with: the documents' facts, a made-up organisation, metrics and CSV. No HTTP, no faults."""
