"""The server: the use-cases over HTTP. It decides nothing: whoever asks gets the verbs of `wiring`, bound to him.

app.py      the application: routes, errors, headers      doors.py     who asks: tokens, sessions, forgery
api/        the routes, one noun a file                   running.py   a process that serves
"""
