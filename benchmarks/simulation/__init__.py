"""Simulated workers: a coroutine each, which asks the database, the broker and the cache what a real one asks them.

Only Blender and the store are missing. A frame takes as long as a random number says, however short that is, and is
treated as a long one: claimed one at a time and published by itself (a real worker claims frames of less than a second
ahead, and publishes them together).
"""
