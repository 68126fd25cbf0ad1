"""Load: requests by a schedule, the records they left, and the figures computed from them.

Ring 2: no Robot here.
"""
