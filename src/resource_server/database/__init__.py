"""The database under users and accounts: a compiled query, instances of models, transactions, values that cannot be stored."""
