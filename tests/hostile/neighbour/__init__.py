"""Attacks by other people of the same farm."""
