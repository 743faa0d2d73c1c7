"""The peer with FastAPI and wechatpy; uvicorn with uvloop and httptools runs it."""

import os
import time

import uvicorn
from fastapi import FastAPI
from wechatpy import WeChatClient
from wechatpy.utils import random_string

appid, ticket = os.environ["APPID"], os.environ["TICKET"]
client = WeChatClient(appid, "secret")
app = FastAPI()


@app.get("/jsapi/signature")
async def signature(url: str) -> dict[str, str | int]:
    url = url.split("#")[0]
    nonce, now = random_string(16), int(time.time())
    return {
        "appId": appid,
        "timestamp": now,
        "nonceStr": nonce,
        "signature": client.jsapi.get_jsapi_signature(nonce, ticket, now, url),
        "url": url,
    }


uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), access_log=False, log_level="warning")
