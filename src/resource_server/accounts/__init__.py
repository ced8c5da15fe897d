"""Optional app: links (issuer, subject) to a user of the database, for `USERS: "provision"`."""
