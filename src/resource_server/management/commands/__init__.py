"""`resource_server`: the issuers and keys that this project trusts."""
