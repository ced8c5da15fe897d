"""The keys of an issuer: how they are found, kept current and shared. Without Django."""
