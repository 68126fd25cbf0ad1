"""Watching what a server uses while it works: the memory of its processes and of its GPUs.

Ring 2: no Robot here. A monitor samples in a thread of its own, keeps a bounded series, and never logs.
"""
