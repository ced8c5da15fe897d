"""`resource_server`: what this project trusts."""
