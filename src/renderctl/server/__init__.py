"""The server: the use-cases over HTTP. It decides nothing: whoever asks gets the verbs of `wiring`, bound to him.

app.py      the application: routes, errors, headers      doors.py     who asks: tokens, sessions, forgery
api/        the routes, one noun a file                   running.py   a process that serves
page/       the pages, likewise                           streams.py   answers that go on, for as long as one may read

routing.py, request_body.py, strict_json.py     a body is read when it is known who asks, and only so much of it
connections.py, protocol.py                     how many there may be, how slow, and how large their headers
"""
