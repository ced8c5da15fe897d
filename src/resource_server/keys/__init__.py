"""How the keys of an issuer are found, kept and shared, without Django."""
