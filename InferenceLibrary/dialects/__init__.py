"""What servers do otherwise than the references: a file a server, and its reader."""
