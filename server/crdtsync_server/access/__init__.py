"""Who may come in, how much they may ask for, and what a browser is told about it.

THREATS.md beside this file says what is held, and which test shows it.
"""
