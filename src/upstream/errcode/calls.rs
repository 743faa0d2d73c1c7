//! The token that a call carries, and how the call is made.

use super::Seen::{Everywhere, WhereTokensAreUsed};
use super::{Row, page, row_of};
use crate::upstream::Class::{Credentials, TokenRejected, Transient, Unknown};

pub(super) const ROWS: &[Row] = &[
    row_of(
        (-1, Everywhere, Transient),
        ["微信系统繁忙", "WeChat is busy"],
        [
            "微信的服务器暂时无法处理请求",
            "WeChat's servers could not do it at this moment",
        ],
        ["稍候即可，会自动重试", "it is tried again by itself"],
        page::ERRCODES,
    ),
    row_of(
        (40001, WhereTokensAreUsed, TokenRejected),
        [
            "微信不再接受这个 access_token",
            "WeChat does not accept the access_token any more",
        ],
        [
            "它不是最新的：多半是另一个程序用同一个 AppSecret 获取了新的 access_token，使它失效",
            "it is not the newest: most likely another program fetched one with the same \
             AppSecret, which ended the life of this one",
        ],
        [
            "会自动获取新的 access_token；若反复出现，找出那个程序，或把 token_api 设为 stable",
            "a new one is fetched by itself; if it comes back, find that other program, or \
             set token_api to stable",
        ],
        page::USE_OF_TOKENS,
    ),
    row_of(
        (40014, WhereTokensAreUsed, TokenRejected),
        ["access_token 的格式不合法", "the access_token is malformed"],
        [
            "它在途中被截断或改动，或者不是微信签发的",
            "it was cut or changed on its way, or it never was one of WeChat's",
        ],
        [
            "会自动获取新的 access_token；若反复出现，检查中间的代理和存储",
            "a new one is fetched by itself; if it comes back, look at the proxies in \
             between and at what the token is stored in",
        ],
        page::USE_OF_TOKENS,
    ),
    row_of(
        (42001, WhereTokensAreUsed, TokenRejected),
        [
            "access_token 已过期",
            "the access_token has come to its end",
        ],
        [
            "access_token 最长有效 7200 秒，到期前没有得到新的",
            "it lives for 7200 seconds at most, and there was no new one before its end",
        ],
        [
            "会自动获取新的 access_token；若反复出现，检查服务器的时钟",
            "a new one is fetched by itself; if it comes back, check the machine's clock",
        ],
        page::USE_OF_TOKENS,
    ),
    row_of(
        (40002, Everywhere, Credentials),
        [
            "grant_type 不合法",
            "grant_type=client_credential was not accepted",
        ],
        [
            "参数在途中被改动，或者 upstream 指向的不是微信",
            "the parameter was changed on its way, or the server behind `upstream` is not WeChat",
        ],
        [
            "检查 upstream 设置和中间的代理",
            "check the setting `upstream` and the proxies in between",
        ],
        page::TOKEN,
    ),
    row_of(
        (40097, Everywhere, Unknown),
        ["参数不合法", "a parameter is wrong"],
        [
            "getticket 的 type 只能是 jsapi 或 wx_card",
            "the type of getticket must be jsapi or wx_card",
        ],
        [
            "检查调用方的参数，以及中间是否有代理改动请求",
            "check the parameters of the call, and whether a proxy in between changes it",
        ],
        page::TICKET,
    ),
    row_of(
        (41001, Everywhere, Unknown),
        [
            "请求里没有 access_token",
            "there was no access_token in the call",
        ],
        [
            "调用方没有带上参数，或者中间的代理去掉了它",
            "the caller did not send it, or a proxy in between took it out",
        ],
        [
            "检查调用方和中间的代理",
            "check the caller and the proxies in between",
        ],
        page::USE_OF_TOKENS,
    ),
    row_of(
        (41002, Everywhere, Credentials),
        ["请求里没有 appid", "there was no appid in the call"],
        [
            "中间的代理去掉了参数，或者 upstream 指向的不是微信",
            "a proxy in between took the parameter out, or the server behind `upstream` is not \
             WeChat",
        ],
        [
            "检查 upstream 设置和中间的代理",
            "check the setting `upstream` and the proxies in between",
        ],
        page::TOKEN,
    ),
    row_of(
        (41004, Everywhere, Credentials),
        ["请求里没有 AppSecret", "there was no AppSecret in the call"],
        [
            "中间的代理去掉了参数，或者 upstream 指向的不是微信",
            "a proxy in between took the parameter out, or the server behind `upstream` is not \
             WeChat",
        ],
        [
            "检查 upstream 设置和中间的代理",
            "check the setting `upstream` and the proxies in between",
        ],
        page::TOKEN,
    ),
    row_of(
        (42007, Everywhere, Unknown),
        [
            "用户修改了微信密码，授权已失效",
            "a user's authorisation ended with a change of password",
        ],
        [
            "这个错误属于网页授权，与账号的 access_token 无关",
            "it belongs to web OAuth (网页授权) and has nothing to do with the account's token",
        ],
        [
            "让用户在网页里重新授权",
            "have the user authorise the page again",
        ],
        page::ERRCODES,
    ),
    row_of(
        (43002, Everywhere, Credentials),
        ["请求方法不对，应为 POST", "the method must be POST"],
        [
            "中间的代理改动了请求，或者 upstream 指向的不是微信",
            "a proxy in between changed the request, or the server behind `upstream` is not WeChat",
        ],
        [
            "检查 upstream 设置和中间的代理（例如重定向）",
            "check the setting `upstream` and the proxies in between, for redirects too",
        ],
        page::STABLE_TOKEN,
    ),
    row_of(
        (43003, Everywhere, Unknown),
        ["必须使用 HTTPS", "the call must be made by HTTPS"],
        [
            "upstream 以 http:// 开头，或者中间的代理去掉了加密",
            "`upstream` begins with http://, or a proxy in between takes the encryption off",
        ],
        [
            "把 upstream 设为 https://api.weixin.qq.com",
            "set `upstream` to https://api.weixin.qq.com",
        ],
        page::ERRCODES,
    ),
    row_of(
        (44002, Everywhere, Unknown),
        ["POST 的内容为空", "the body of the call was empty"],
        [
            "中间的代理丢掉了请求内容，或者调用方没有发送",
            "a proxy in between dropped the body, or the caller did not send one",
        ],
        [
            "检查调用方和中间的代理",
            "check the caller and the proxies in between",
        ],
        page::STABLE_TOKEN,
    ),
    row_of(
        (46003, Everywhere, Unknown),
        ["账号没有自定义菜单", "the account has no menu"],
        [
            "查询菜单时还没有创建过菜单；access_token 是有效的",
            "the menu was asked for and none was made yet; the access_token is good",
        ],
        ["不需要处理", "nothing needs to be done"],
        page::ERRCODES,
    ),
    row_of(
        (47001, Everywhere, Unknown),
        ["请求内容无法解析", "the body of the call could not be read"],
        [
            "内容不是合法的 JSON，或者在途中被改动",
            "it is not JSON, or it was changed on its way",
        ],
        [
            "检查调用方发送的内容和中间的代理",
            "check what the caller sends and the proxies in between",
        ],
        page::STABLE_TOKEN,
    ),
    row_of(
        (76001, Everywhere, Unknown),
        ["找不到这个 rid", "WeChat does not find the rid"],
        [
            "rid 只保留 7 天，并且只能用同一账号查询",
            "a rid is kept for 7 days and found by the same account only",
        ],
        [
            "换一个 7 天之内、属于这个账号的 rid",
            "ask for a rid of this account that is younger than 7 days",
        ],
        page::RIDS,
    ),
    row_of(
        (76002, Everywhere, Unknown),
        ["rid 不合法", "the rid is malformed"],
        ["rid 复制不完整或有改动", "it was copied in part or changed"],
        [
            "从 errmsg 里重新复制完整的 rid",
            "copy the whole rid from errmsg again",
        ],
        page::RIDS,
    ),
    row_of(
        (76003, Everywhere, Unknown),
        ["没有查询的权限", "WeChat does not allow this query"],
        [
            "rid 属于另一个账号；查询限额时，是 cgi_path 有误",
            "the rid belongs to another account; of a quota, the cgi_path is wrong",
        ],
        [
            "用发出请求的账号查询；cgi_path 以 / 开头，不带域名",
            "ask with the account that made the call; a cgi_path begins with / and has no host",
        ],
        page::RIDS,
    ),
];
