//! WeChat's errcodes as far as they bear on credentials: what each means and who can mend it.
//!
//! The codes are those of the error lists on the pages of the two token APIs and of getticket
//! (<https://developers.weixin.qq.com/doc/service/api/base/api_getaccesstoken.html>,
//! <https://developers.weixin.qq.com/doc/service/api/base/api_getstableaccesstoken.html>,
//! <https://developers.weixin.qq.com/doc/service/en/api/webdev/jssdk/api_getticket.html>) and of
//! the general list (<https://developers.weixin.qq.com/doc/oplatform/developers/errCode/errCode.html>).

use super::{Api, Class};

/// What an errcode means in an answer of `api`.
pub(super) fn class(api: Api, errcode: i64) -> Class {
    row(api, errcode).map_or(Class::Unknown, |row| row.class)
}

/// What a human can do about an errcode in an answer of `api`.
pub fn remedy(api: Api, errcode: i64) -> Option<&'static str> {
    row(api, errcode)
        .map(|row| row.remedy)
        .filter(|remedy| !remedy.is_empty())
}

fn row(api: Api, errcode: i64) -> Option<&'static Row> {
    ROWS.iter()
        .find(|row| row.errcode == errcode && row.seen.includes(api))
}

struct Row {
    errcode: i64,
    seen: Seen,
    class: Class,
    remedy: &'static str,
}

/// In the answers of which APIs a row holds.
#[derive(PartialEq)]
enum Seen {
    Everywhere,
    WhereTokensAreIssued,
    WhereTokensAreUsed,
}

impl Seen {
    fn includes(&self, api: Api) -> bool {
        match self {
            Self::Everywhere => true,
            Self::WhereTokensAreIssued => api.issues_token(),
            Self::WhereTokensAreUsed => !api.issues_token(),
        }
    }
}

const fn row_of(errcode: i64, seen: Seen, class: Class, remedy: &'static str) -> Row {
    Row {
        errcode,
        seen,
        class,
        remedy,
    }
}

const ROWS: &[Row] = {
    use Class::{Address, Credentials, Quota, TokenRejected, Transient};
    use Seen::{Everywhere, WhereTokensAreIssued, WhereTokensAreUsed};
    &[
        row_of(-1, Everywhere, Transient, ""),
        row_of(
            40001,
            WhereTokensAreIssued,
            Credentials,
            "the AppSecret is wrong or belongs to another AppID: copy it again from WeChat's console",
        ),
        row_of(40001, WhereTokensAreUsed, TokenRejected, ""),
        row_of(40014, WhereTokensAreUsed, TokenRejected, ""),
        row_of(42001, WhereTokensAreUsed, TokenRejected, ""),
        row_of(
            40002,
            Everywhere,
            Credentials,
            "the server behind `upstream` does not accept grant_type=client_credential: is it WeChat?",
        ),
        row_of(
            40013,
            Everywhere,
            Credentials,
            "no account has this AppID: copy it again from WeChat's console (case matters)",
        ),
        row_of(
            40125,
            Everywhere,
            Credentials,
            "the AppSecret is wrong: copy it again, or reset it in WeChat's console",
        ),
        row_of(
            40164,
            Everywhere,
            Address,
            "add the address named in errmsg to the IP white list in WeChat's console \
             (设置与开发 > 开发接口管理 > IP白名单); it takes effect within 10 minutes",
        ),
        row_of(
            40243,
            Everywhere,
            Credentials,
            "the AppSecret is frozen: unfreeze it in WeChat's console",
        ),
        row_of(
            41002,
            Everywhere,
            Credentials,
            "the server behind `upstream` did not see the appid parameter: is there a proxy in between?",
        ),
        row_of(
            41004,
            Everywhere,
            Credentials,
            "the server behind `upstream` did not see the secret parameter: is there a proxy in between?",
        ),
        row_of(
            43002,
            Everywhere,
            Credentials,
            "the server behind `upstream` refused the method: is there a proxy in between?",
        ),
        row_of(
            45009,
            Everywhere,
            Quota,
            "the daily quota is used up until 00:00 (UTC+8): find the program that fetches too \
             often, or clear the quota in WeChat's console",
        ),
        row_of(45011, Everywhere, Quota, ""),
        row_of(
            48001,
            Everywhere,
            Credentials,
            "the account does not have this API: verify the account, or check its type",
        ),
        row_of(
            48004,
            Everywhere,
            Credentials,
            "WeChat has blocked this API for the account: read the notice in WeChat's console",
        ),
        row_of(
            50004,
            Everywhere,
            Credentials,
            "WeChat has forbidden the account to fetch tokens: read the notice in WeChat's console",
        ),
        row_of(
            50007,
            Everywhere,
            Credentials,
            "the account is frozen: read the notice in WeChat's console",
        ),
        row_of(
            61004,
            Everywhere,
            Address,
            "WeChat does not know this machine's address: add it to the IP white list in WeChat's console",
        ),
        row_of(
            89501,
            Everywhere,
            Address,
            "an administrator must confirm this machine's address: see the message in WeChat",
        ),
        row_of(
            89503,
            Everywhere,
            Address,
            "an administrator must confirm this machine's address: see the message in WeChat",
        ),
        row_of(
            89506,
            Everywhere,
            Address,
            "this machine's address was refused twice and is blocked for 24 hours",
        ),
        row_of(
            89507,
            Everywhere,
            Address,
            "this machine's address was refused and is blocked for 1 hour",
        ),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_errcode_has_its_class() {
        use Class::{Address, Credentials, Quota, TokenRejected, Transient, Unknown};
        let cases = [
            (Api::Token, -1, Transient),
            (Api::GetTicket, -1, Transient),
            (Api::Token, 40001, Credentials),
            (Api::StableToken, 40001, Credentials),
            (Api::GetTicket, 40001, TokenRejected),
            (Api::GetApiDomainIp, 40001, TokenRejected),
            (Api::GetTicket, 40014, TokenRejected),
            (Api::GetTicket, 42001, TokenRejected),
            (Api::Token, 42001, Unknown),
            (Api::Token, 40002, Credentials),
            (Api::Token, 40013, Credentials),
            (Api::Token, 40125, Credentials),
            (Api::Token, 40243, Credentials),
            (Api::Token, 41002, Credentials),
            (Api::Token, 41004, Credentials),
            (Api::StableToken, 43002, Credentials),
            (Api::Token, 50004, Credentials),
            (Api::Token, 50007, Credentials),
            (Api::GetTicket, 48001, Credentials),
            (Api::GetTicket, 48004, Credentials),
            (Api::Token, 40164, Address),
            (Api::GetTicket, 61004, Address),
            (Api::Token, 89501, Address),
            (Api::Token, 89503, Address),
            (Api::Token, 89506, Address),
            (Api::Token, 89507, Address),
            (Api::Token, 45009, Quota),
            (Api::StableToken, 45011, Quota),
            (Api::Token, 12345, Unknown),
        ];
        for (api, errcode, expected) in cases {
            assert_eq!(
                class(api, errcode),
                expected,
                "{errcode} from {}",
                api.path()
            );
        }
    }

    #[test]
    fn what_a_human_must_mend_has_a_remedy() {
        for row in ROWS {
            let human = matches!(row.class, Class::Credentials | Class::Address);
            assert!(!human || !row.remedy.is_empty(), "{}", row.errcode);
        }
    }
}
