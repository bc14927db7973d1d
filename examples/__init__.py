"""Bring your own: copy a file to own/, change it, and name it in params.yaml."""
