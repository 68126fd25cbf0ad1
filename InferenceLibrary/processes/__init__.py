"""Processes, their trees and guards: what starts them, watches them, and leaves nothing of them."""
