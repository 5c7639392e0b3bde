"""The server: the use-cases over HTTP. It decides nothing: whoever asks gets the verbs of `wiring`, bound to them.

app.py      the application: routes, errors, headers      authentication.py     tokens, sessions, forgery
api/        the routes, one noun a file                   runner.py             a process that serves
web/        the pages, likewise                           streams.py            long answers, and their limits

routing.py, request_body.py, strict_json.py     a body is read when it is known who asks, and only so much of it
connection_limits.py, protocol.py               how many there may be, how slow, and how large their headers
"""
