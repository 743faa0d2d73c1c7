"""What schemathesis has to know of this server's patience."""

import time

import schemathesis

answered = set()


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes long polls end at once; a wait that the server refuses stays as it is."""
    wait = str((case.query or {}).get("wait", ""))
    if wait.isdecimal() and int(wait) <= 60:
        case.query["wait"] = 0


@schemathesis.hook
def after_call(context, case, response):
    """After its first good answer each operation is asked with a wrong key. The server takes one of
    those a second: more of them are answered 429 instead of 401."""
    if response.status_code == 200 and case.operation.label not in answered:
        answered.add(case.operation.label)
        time.sleep(1.1)
