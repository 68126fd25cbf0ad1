"""What the topics of keywords share: arguments, the way of a call, assertions."""
