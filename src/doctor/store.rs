//! Whether records can be read and written.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{Finding, Outcome, STEP_WITHIN, Step};
use crate::app::{self, App};
use crate::config::{Config, StoreUrl};
use crate::credential::Kind;
use crate::store::{Key, OpenError, Record, Store, StoreError, Tell, Version};

/// Opens the store that `config` names, if it is there, and says what is wrong with it. A file that
/// is not there is not made: it would belong to whoever asks, and not to the server.
pub fn open(config: &Config) -> (Option<Store>, Vec<Finding>) {
    let path = match &config.store {
        StoreUrl::Sqlite(path) => Some(path),
        _ => None,
    };
    if let Some(path) = path.filter(|path| !path.exists()) {
        return (None, vec![not_there(path)]);
    }
    match app::open_store_beside(config) {
        Ok(store) => {
            let open_to_others = path.and_then(|path| open_to_others(path));
            (Some(store), open_to_others.into_iter().collect())
        }
        Err(why) => {
            let finding = Finding::new(
                Step::Store,
                Outcome::Bad,
                "存储打不开",
                "the store cannot be opened",
            );
            let is_former = (why.downcast_ref::<OpenError>()).is_some_and(OpenError::is_former);
            let finding = if is_former {
                finding.remedy(
                    "先用这个版本启动服务器：它会升级数据库并保留一份副本",
                    "start the server with this version first: it changes the database, and keeps a \
                     copy",
                )
            } else {
                finding.remedy(
                    "检查路径是否存在、当前用户能否写入，或用 --store 换一个位置",
                    "check that it is there and that this user may write to it, or name another \
                     with --store",
                )
            };
            (None, vec![finding.said(why.to_string())])
        }
    }
}

/// Reads from the store and writes to it.
pub(super) async fn examine(app: &App) -> Finding {
    let tried = tokio::time::timeout(STEP_WITHIN, try_out(&app.store)).await;
    let tried = match tried {
        Ok(tried) => tried.map_err(|why| why.to_string()),
        Err(_) => Err(format!("no answer within {} s", STEP_WITHIN.as_secs())),
    };
    match tried {
        Ok(()) => Finding::new(
            Step::Store,
            Outcome::Good,
            "可以读写",
            "it can be read and written",
        ),
        Err(why) => Finding::new(
            Step::Store,
            Outcome::Bad,
            "存储不可用",
            "the store does not do its work",
        )
        .remedy(
            "检查它是否在运行、地址和密码是否正确、磁盘是否已满、主密钥是否是原来的那一个",
            "check that it runs, that its URL and password are right, that the disk is not full, \
             and that the master key is the one it was written with",
        )
        .said(why),
    }
}

async fn try_out(store: &Store) -> Result<(), StoreError> {
    store.directory().await?;
    let key = Key {
        appid: "wx0000000000000000".parse().expect("it has the right form"),
        kind: Kind::AccessToken,
    };
    // From a version that nothing has: the store must be ready to write, and writes nothing.
    let (nothing, record) = (Version::random(), Record::default());
    store.swap(&key, nothing, &record, Tell::Nobody).await?;
    Ok(())
}

fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn not_there(path: &Path) -> Finding {
    let directory = directory_of(path);
    let probe = directory.join(format!(".wxsign-doctor-{}", std::process::id()));
    let made = fs::File::create_new(&probe).and_then(|_| fs::remove_file(&probe));
    let shown = path.display();
    match made {
        Ok(()) => Finding::new(
            Step::Store,
            Outcome::Note,
            format!("{shown} 还不存在，首次启动时会创建"),
            format!("{shown} is not there yet: the server makes it when it starts"),
        ),
        Err(why) => Finding::new(
            Step::Store,
            Outcome::Bad,
            format!("{shown} 不存在，也无法创建"),
            format!("{shown} is not there and cannot be made"),
        )
        .remedy(
            format!(
                "创建目录 {} 并让运行 wxsign 的用户可以写入",
                directory.display()
            ),
            format!(
                "make the directory {} and let the user that wxsign runs as write to it",
                directory.display()
            ),
        )
        .said(why.to_string()),
    }
}

/// Tokens are in the file.
fn open_to_others(path: &Path) -> Option<Finding> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    let shown = path.display();
    (mode & 0o077 != 0).then(|| {
        Finding::new(
            Step::Store,
            Outcome::Warning,
            format!("其他用户可以访问 {shown}（权限 {mode:03o}），其中有 access_token"),
            format!("others may open {shown} (mode {mode:03o}), and tokens are in it"),
        )
        .remedy(format!("chmod 600 {shown}"), format!("chmod 600 {shown}"))
    })
}
