"""Rows to tables: which slice owns which rows, and one object a month, replaced in one atomic put."""
