"""weixin-python as a back end uses it, with its host set and nothing else.

    tests/.cache/weixin-python-0.5.7/bin/python weixin-python.py BASE_URL APPID CLIENT_KEY

Reads commands, a line each, and answers each with a line of JSON:

    token      fetches a token
    sign URL   what wx.config gets on the page URL
    call N     N calls at once, and how they ended by errcode; 0 is success
"""

import json
import os
import signal
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from weixin import WeixinMP
from weixin.mp import WeixinMPError

# Seconds for a command; then the process ends.
DEADLINE = 20


def token(mp):
    mp.access_token
    return {"errcode": 0}


def sign(mp, url):
    signed = mp.jsapi_sign(url=url)
    config = {
        "appId": signed.appId,
        "timestamp": signed.timestamp,
        "nonceStr": signed.noncestr,
        "signature": signed.sign,
    }
    return {"errcode": 0, "config": config}


def call(mp, count):
    def one(_):
        try:
            # To the SDK all that names no errcode is a success.
            return 0 if mp.get("/getcallbackip").ip_list else None
        except WeixinMPError as error:
            return refusal(error)["errcode"]

    with ThreadPoolExecutor(int(count)) as threads:
        return {"ended": Counter(threads.map(one, range(int(count))))}


def refusal(error):
    """The SDK gives WeChat's code only as the first word of its message."""
    errcode, errmsg = str(error).split(" ", 1)
    return {"errcode": int(errcode), "errmsg": errmsg}


def main():
    base, appid, key = sys.argv[1:]
    with tempfile.TemporaryDirectory() as directory:
        # It keeps what it fetched in files, by default in the home directory.
        kept = [os.path.join(directory, name) for name in ("token", "ticket")]
        mp = WeixinMP(appid, key, *kept)
        mp.api_uri = base
        for line in sys.stdin:
            command, *arguments = line.split()
            signal.alarm(DEADLINE)
            try:
                answer = {"token": token, "sign": sign, "call": call}[command](mp, *arguments)
            except WeixinMPError as error:
                answer = refusal(error)
            signal.alarm(0)
            print(json.dumps(answer), flush=True)


main()
