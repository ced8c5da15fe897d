"""A verified token -> the user of a request: the setting's choice, the lookup, and the rows that are remembered."""
