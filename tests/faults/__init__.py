"""Every fault of the sandbox against every report: `make faults` runs them all, `make test` some of them."""
