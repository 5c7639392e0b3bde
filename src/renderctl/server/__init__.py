"""The server: the use-cases over HTTP. It decides nothing: a request is authenticated, and calls verbs as its user.

app.py      the application: routes, errors, headers      authentication.py     tokens, sessions, CSRF
api/        the routes of the API, one noun a file        runner.py             runs the server process
web/        the pages, likewise                           streams.py            event streams and their limits

routing.py, request_body.py, strict_json.py     authenticate first, then read a limited body
connection_limits.py, protocol.py               limits of connections, their speed and their headers
"""
