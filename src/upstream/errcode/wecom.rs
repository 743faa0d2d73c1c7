//! WeCom (企业微信), whose numbers are the same as WeChat's in part only.

use super::Seen::{Everywhere, WhereTokensAreIssued, WhereTokensAreUsed};
use super::{Row, page, row_of};
use crate::upstream::Class::{Address, Credentials, Quota, TokenRejected, Transient, Unknown};

pub(super) const ROWS: &[Row] = &[
    row_of(
        (-1, Everywhere, Transient),
        ["企业微信系统繁忙", "WeCom is busy"],
        [
            "企业微信的服务器暂时无法处理请求",
            "WeCom's servers could not do it at this moment",
        ],
        ["稍候即可，会自动重试", "it is tried again by itself"],
        page::WECOM_ERRCODES,
    ),
    row_of(
        (40001, WhereTokensAreIssued, Credentials),
        [
            "企业微信不接受这个应用的 Secret",
            "WeCom refused the Secret of the app",
        ],
        [
            "Secret 有误，或者它属于另一个应用、另一家企业",
            "it is wrong, or that of another app or corporation",
        ],
        [
            "在企业微信管理后台「应用管理」打开 AgentId 对应的应用，重新查看 Secret，再更新到这里",
            "open the app with this AgentId in WeCom's console (应用管理), have its Secret shown \
             again, and put it here",
        ],
        page::WECOM_TOKEN,
    ),
    row_of(
        (40001, WhereTokensAreUsed, TokenRejected),
        [
            "企业微信不再接受这个 access_token",
            "WeCom does not accept the access_token any more",
        ],
        [
            "企业微信可以提前使它失效，例如重置了应用的 Secret",
            "WeCom may end one early, for example when the Secret of the app was reset",
        ],
        [
            "会自动获取新的 access_token；若反复出现，检查应用的 Secret",
            "a new one is fetched by itself; if it comes back, check the Secret of the app",
        ],
        page::WECOM_TOKEN,
    ),
    row_of(
        (40013, Everywhere, Credentials),
        ["企业微信不认识这个企业ID", "WeCom does not know the CorpID"],
        [
            "企业ID（CorpID）有误；它不是公众号的 AppID",
            "no corporation has it; it is not the AppID of an official account",
        ],
        [
            "在企业微信管理后台「我的企业 > 企业信息」复制企业ID，写成「企业ID-AgentId」",
            "copy it from WeCom's console (我的企业 > 企业信息), and write the AgentId behind it: \
             CorpID-AgentId",
        ],
        page::WECOM_TOKEN,
    ),
    row_of(
        (40014, WhereTokensAreUsed, TokenRejected),
        [
            "企业微信不认识这个 access_token",
            "WeCom does not know the access_token",
        ],
        [
            "它已失效，或者在途中被截断或改动",
            "it came to an end, or was cut or changed on its way",
        ],
        [
            "会自动获取新的 access_token；若反复出现，检查中间的代理，以及 wecom_upstream 是否指向企业微信",
            "a new one is fetched by itself; if it comes back, look at the proxies in between, and \
             whether wecom_upstream is WeCom",
        ],
        page::WECOM_ERRCODES,
    ),
    row_of(
        (40056, Everywhere, Credentials),
        ["AgentId 不合法", "the AgentId is not valid"],
        [
            "企业里没有这个应用，或者 Secret 属于另一个应用",
            "the corporation has no such app, or the Secret is that of another one",
        ],
        [
            "在企业微信管理后台「应用管理」核对 AgentId 和 Secret",
            "compare AgentId and Secret with WeCom's console (应用管理)",
        ],
        page::WECOM_ERRCODES,
    ),
    row_of(
        (40091, Everywhere, Credentials),
        ["Secret 不合法", "the Secret is not valid"],
        [
            "它复制不完整，或者已被重置",
            "it was copied in part, or has been reset",
        ],
        [
            "在企业微信管理后台「应用管理」重新查看应用的 Secret，再更新到这里",
            "have the Secret of the app shown again in WeCom's console (应用管理), and put it here",
        ],
        page::WECOM_TOKEN,
    ),
    row_of(
        (41001, Everywhere, Unknown),
        [
            "请求里没有 access_token 参数",
            "there was no access_token in the call to WeCom",
        ],
        [
            "调用方没有带上参数，或者中间的代理去掉了它",
            "the caller did not send it, or a proxy in between took it out",
        ],
        [
            "检查调用方和中间的代理",
            "check the caller and the proxies in between",
        ],
        page::WECOM_ERRCODES,
    ),
    row_of(
        (41002, Everywhere, Credentials),
        ["请求里没有 corpid", "there was no corpid in the call"],
        [
            "中间的代理去掉了参数，或者 wecom_upstream 指向的不是企业微信",
            "a proxy in between took the parameter out, or the server behind `wecom_upstream` is \
             not WeCom",
        ],
        [
            "检查 wecom_upstream 设置和中间的代理",
            "check the setting `wecom_upstream` and the proxies in between",
        ],
        page::WECOM_TOKEN,
    ),
    row_of(
        (41004, Everywhere, Credentials),
        [
            "请求里没有 corpsecret",
            "there was no corpsecret in the call",
        ],
        [
            "中间的代理去掉了参数，或者 wecom_upstream 指向的不是企业微信",
            "a proxy in between took the parameter out, or the server behind `wecom_upstream` is \
             not WeCom",
        ],
        [
            "检查 wecom_upstream 设置和中间的代理",
            "check the setting `wecom_upstream` and the proxies in between",
        ],
        page::WECOM_TOKEN,
    ),
    row_of(
        (41011, Everywhere, Unknown),
        ["请求里没有 AgentId", "there was no agentid in the call"],
        [
            "调用方没有带上应用的 AgentId",
            "the caller did not send the AgentId of the app",
        ],
        ["检查调用方的参数", "check the parameters of the call"],
        page::WECOM_ERRCODES,
    ),
    row_of(
        (42001, WhereTokensAreUsed, TokenRejected),
        [
            "企业微信的 access_token 已过期",
            "the access_token of WeCom has come to its end",
        ],
        [
            "access_token 最长有效 7200 秒；企业微信在它到期之前不给新的",
            "it lives for 7200 seconds at most, and WeCom gives no other one before its end",
        ],
        [
            "会自动获取新的 access_token；若反复出现，检查服务器的时钟",
            "a new one is fetched by itself; if it comes back, check the machine's clock",
        ],
        page::WECOM_TOKEN,
    ),
    row_of(
        (42012, WhereTokensAreUsed, Unknown),
        [
            "签名所用的 jsapi_ticket 不可用",
            "the ticket of the signature cannot be used",
        ],
        [
            "wx.config 要用企业的 jsapi_ticket，wx.agentConfig 要用应用的，两者混用了",
            "wx.config wants the ticket of the corporation, wx.agentConfig that of the app, and \
             the two were mixed up",
        ],
        [
            "wx.config 用 /jsapi/signature 的签名，wx.agentConfig 用 /jsapi/agent-signature 的签名",
            "give wx.config the signature of /jsapi/signature, and wx.agentConfig that of \
             /jsapi/agent-signature",
        ],
        page::WECOM_TICKETS,
    ),
    row_of(
        (43003, Everywhere, Unknown),
        [
            "企业微信的接口必须使用 HTTPS",
            "WeCom's API must be called by HTTPS",
        ],
        [
            "wecom_upstream 以 http:// 开头，或者中间的代理去掉了加密",
            "`wecom_upstream` begins with http://, or a proxy in between takes the encryption off",
        ],
        [
            "把 wecom_upstream 设为 https://qyapi.weixin.qq.com",
            "set `wecom_upstream` to https://qyapi.weixin.qq.com",
        ],
        page::WECOM_ERRCODES,
    ),
    row_of(
        (45009, Everywhere, Quota),
        [
            "企业微信限制了这个接口的调用频率",
            "WeCom allows no more calls of this API for a while",
        ],
        [
            "有程序调用得过于频繁；jsapi_ticket 每小时每个应用最多获取 100 次，每家企业 400 次；参数有误的调用过多也会被限制",
            "some program calls too often: an app may fetch tickets 100 times an hour, a \
             corporation 400 times; too many wrong calls count as well",
        ],
        [
            "找出频繁调用的程序，让它们向 wxsign 要凭证；一分钟或一小时后限制解除，会自动重试",
            "find the program that fetches so often and have it ask wxsign; the limit ends after a \
             minute or an hour, and it is tried again by itself",
        ],
        page::WECOM_LIMITS,
    ),
    row_of(
        (45011, Everywhere, Quota),
        [
            "对企业微信的调用过于频繁",
            "there were too many calls to WeCom at a time",
        ],
        [
            "这一分钟内调用得过于频繁",
            "there were too many in this minute",
        ],
        [
            "下一分钟会自动重试；若反复出现，找出频繁调用的程序",
            "it is tried again in the next minute; if it comes back, find the program that calls \
             so often",
        ],
        page::WECOM_LIMITS,
    ),
    row_of(
        (45033, Everywhere, Quota),
        [
            "对企业微信的并发调用过多",
            "there were too many calls to WeCom at one time",
        ],
        [
            "多个程序同时调用了这个接口",
            "several programs called this API at the same moment",
        ],
        [
            "会自动重试；若反复出现，找出频繁调用的程序",
            "it is tried again by itself; if it comes back, find the program that calls so often",
        ],
        page::WECOM_LIMITS,
    ),
    row_of(
        (48002, Everywhere, Credentials),
        ["应用没有这个接口的权限", "the app may not call this API"],
        [
            "Secret 属于不支持这个接口的应用（例如通讯录同步），或者没有授权",
            "the Secret belongs to an app without this API, such as the one for contacts \
             (通讯录同步), or the right was not granted",
        ],
        [
            "改用自建应用的 Secret，并在企业微信管理后台查看应用的权限",
            "use the Secret of an app of your own (自建应用), and look up its rights in WeCom's \
             console",
        ],
        page::WECOM_ERRCODES,
    ),
    row_of(
        (50001, Everywhere, Unknown),
        [
            "网页域名不是应用的可信域名",
            "the host of the page is not among the app's trusted domains",
        ],
        [
            "调用 JS 接口的网页必须在应用的可信域名之下",
            "pages that call JS APIs must be below one of them",
        ],
        [
            "在企业微信管理后台「应用管理 > 网页授权及JS-SDK > 可信域名」添加网页的域名",
            "add the host in WeCom's console (应用管理 > 网页授权及JS-SDK > 可信域名)",
        ],
        page::WECOM_ERRCODES,
    ),
    row_of(
        (60020, Everywhere, Address),
        [
            "服务器的出口 IP 不在应用的企业可信IP中",
            "the address of this server is not among the app's trusted addresses",
        ],
        [
            "企业微信只接受「企业可信IP」里的 IP 调用应用的接口；新服务器、换了出口或用了代理之后，出口 IP 会变",
            "WeCom takes calls of an app from those addresses only; a new machine, another way out \
             or a proxy changes the address",
        ],
        [
            "把 errmsg 中的 IP 加入企业微信管理后台「应用管理 > 应用 > 企业可信IP」，之后会自动恢复",
            "add the address named in errmsg to 企业可信IP of the app in WeCom's console \
             (应用管理); it is tried again by itself",
        ],
        page::WECOM_ERRCODES,
    ),
    row_of(
        (301_002, Everywhere, Credentials),
        [
            "Secret 无权使用这个应用",
            "the Secret gives no right to this app",
        ],
        [
            "请求的 AgentId 与 Secret 所属的应用不同",
            "the AgentId of the call is not that of the app which the Secret belongs to",
        ],
        [
            "在企业微信管理后台「应用管理」核对 AgentId 和 Secret",
            "compare AgentId and Secret with WeCom's console (应用管理)",
        ],
        page::WECOM_ERRCODES,
    ),
];
