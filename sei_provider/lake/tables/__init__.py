"""Tables made of staged rows: ownership of rows by slices, and one object per month, replaced in one atomic put."""
