"""The pages that people open in a browser: dashboard, conflict inbox, records, trace, policy.

The server sends one shell and plain ES modules (``static/``); they read everything
from ``/v1`` with the token of whoever signed in, so that a page can show nothing that
the interface would not.
"""
