//! Why the accounts and clients are as they were.

use std::fmt;

use crate::account::{AppId, InvalidTokenApi};
use crate::store::StoreError;
use crate::upstream::{Class, UpstreamError};

/// Why the accounts and clients are as they were.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RosterError {
    /// An AppSecret cannot be sealed.
    #[error(
        "there is no master key to seal the AppSecret with: set WXSIGN_MASTER_KEY or \
         WXSIGN_MASTER_KEY_FILE (openssl rand -hex 32 makes one), or write the account into the \
         configuration"
    )]
    NoMasterKey,
    /// The configuration has it.
    #[error("{0} is in the configuration: change or remove it there, and restart")]
    Configured(AppId),
    /// There is no such account among those that were added at run time.
    #[error("no account {0} was added at run time")]
    Unknown(AppId),
    /// There is no such account whose AppSecret could be kept.
    #[error("the AppSecret is missing: the account is not there yet, so there is none to keep")]
    NoSecret,
    /// The master key is another one than that of the stored accounts.
    #[error(
        "the AppSecrets of {0} cannot be opened, most likely because they were sealed with \
         another WXSIGN_MASTER_KEY: set that one, or remove the accounts and add them anew"
    )]
    Locked(Appids),
    /// There is no master key, but there are stored accounts.
    #[error(
        "the AppSecrets of {0} cannot be opened, because WXSIGN_MASTER_KEY is not set: set the \
         one that they were added with"
    )]
    NoKeyFor(Appids),
    /// The account cannot have that token API.
    #[error("token_api {0}")]
    TokenApi(InvalidTokenApi),
    /// The account cannot have coupons.
    #[error("wx_card is true, but a WeCom app hands out no coupons: leave it out")]
    CouponsOfWeCom,
    /// WeChat does not accept the AppID with the AppSecret.
    #[error(
        "WeChat refused the AppID with this AppSecret (errcode {errcode}, {errmsg}); nothing was \
         stored: {remedy}"
    )]
    Refused {
        /// WeChat's errcode.
        errcode: i64,
        /// WeChat's errmsg.
        errmsg: String,
        /// What to do.
        remedy: String,
        /// The page about it.
        link: &'static str,
    },
    /// WeChat did not say whether it accepts the AppID with the AppSecret.
    #[error(
        "whether the AppSecret is right could not be checked ({why}); nothing was stored: \
         {remedy}try again, or have it stored unchecked",
        why = .0,
        remedy = first(.0),
    )]
    NotChecked(UpstreamError),
    /// The configuration has the client.
    #[error("the client {0} is in the configuration: change or remove it there, and restart")]
    ClientConfigured(String),
    /// There is no such client among those that were added at run time.
    #[error("no client {0} was added at run time")]
    ClientUnknown(String),
    /// There is no such client whose rights could be kept.
    #[error(
        "the scopes and accounts are missing: no client {0} was added at run time, so there are \
         none to keep"
    )]
    ClientIncomplete(String),
    /// What is stored of the client cannot be read.
    #[error(
        "what is stored of the client {0} cannot be read, perhaps because a newer version put it \
         there: change it with that one, or remove it and add it anew"
    )]
    ClientUnreadable(String),
    /// The client may do what the one who asks may not do.
    #[error(
        "the client {0} has scopes or accounts that your key has not: change or remove it with a \
         key that has all of them"
    )]
    ClientBeyond(String),
    /// The client would be allowed what the one who asks may not do.
    #[error(
        "the client {0} would get scopes or accounts that your key has not: leave those out, or \
         ask with a key that has all of them"
    )]
    GrantBeyond(String),
    /// Others changed something at the same time.
    #[error("somebody made another change at the same time; nothing was done: try again")]
    ChangedMeanwhile,
    /// The store failed while the AppSecrets were sealed with another master key.
    #[error(
        "{0}; it may have been done: keep both keys and look with wxsign account list, with each \
         of them in WXSIGN_MASTER_KEY"
    )]
    MayBeRekeyed(StoreError),
    /// The store cannot be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is to be done before it makes sense to try again.
fn first(error: &UpstreamError) -> String {
    match error.class() {
        Class::Address | Class::Credentials | Class::Quota => {
            format!("{}; then ", error.remedy().en)
        }
        _ => String::new(),
    }
}

/// How many accounts a message names.
const NAMED: usize = 10;

/// AppIDs, to be written with commas between; of many the first ones.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Appids(Vec<AppId>);

impl From<Vec<AppId>> for Appids {
    fn from(appids: Vec<AppId>) -> Self {
        Self(appids)
    }
}

impl fmt::Display for Appids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<&str> = self.0.iter().take(NAMED).map(AppId::as_str).collect();
        f.write_str(&named.join(", "))?;
        match self.0.len() - named.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
