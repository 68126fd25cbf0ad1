"""What every answer goes through: connections, turns, drafts and their delivery, timers, settings, the account."""
