"""How a verified token becomes a user."""
