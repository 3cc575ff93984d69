"""The relational store: tables, migrations, one repository per noun, and the commit that appends to the log.

Every connection comes from `reading` or `writing` (engine.py) or from a commit, and repositories take it as
their first argument; no SQLAlchemy exception leaves those three.
"""
