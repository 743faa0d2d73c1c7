use proptest::prelude::*;

use super::*;
use crate::laws::{self, made_of};

fn parse(text: &str) -> Result<ServerUrl, String> {
    ServerUrl::parse(text).expect("a scheme that is known")
}

fn tcp(host: &str, port: u16) -> Endpoint {
    Endpoint::Tcp(host.to_owned(), port)
}

#[test]
fn each_form_is_read_as_it_is_meant() {
    let redis = parse("redis://127.0.0.1").unwrap();
    assert_eq!(redis.engine, Engine::Redis);
    assert_eq!(redis.endpoints, [tcp("127.0.0.1", 6379)]);
    assert_eq!((redis.tls, redis.prefix.as_str()), (false, "wxsign"));

    let full = parse("rediss://wx:p%40ss:w@redis.example:6380/2?prefix=shop&ca_file=/etc/ca.pem");
    let full = full.unwrap();
    assert_eq!(full.user.as_deref(), Some("wx"));
    assert_eq!(full.password, Some(Secret::new("p@ss:w")));
    assert_eq!(full.endpoints, [tcp("redis.example", 6380)]);
    assert_eq!(full.database.as_deref(), Some("2"));
    assert_eq!(full.ca_file, Some(PathBuf::from("/etc/ca.pem")));
    assert_eq!((full.tls, full.prefix.as_str()), (true, "shop"));

    let unix = parse("redis+unix:///run/redis.sock?db=3").unwrap();
    assert_eq!(unix.endpoints, [Endpoint::Unix("/run/redis.sock".into())]);
    assert_eq!(unix.database.as_deref(), Some("3"));

    let sentinel = parse("redis+sentinel://:secret@a,b:1,[::1]:2/mymaster/4").unwrap();
    let master = "mymaster".to_owned();
    assert_eq!(sentinel.engine, Engine::Sentinel { master });
    let endpoints = [tcp("a", 26379), tcp("b", 1), tcp("::1", 2)];
    assert_eq!(sentinel.endpoints, endpoints);
    assert_eq!(sentinel.user, None);
    assert_eq!(sentinel.password, Some(Secret::new("secret")));
    assert_eq!(sentinel.database.as_deref(), Some("4"));

    let cluster = parse("rediss+cluster://a:7000,b:7001").unwrap();
    assert_eq!((cluster.engine, cluster.tls), (Engine::Cluster, true));

    let postgres = parse("postgres://wxsign@db.example/shop?sslmode=verify-full").unwrap();
    assert_eq!((postgres.engine, postgres.tls), (Engine::Postgres, true));
    assert_eq!(postgres.endpoints, [tcp("db.example", 5432)]);
    assert_eq!(postgres.database.as_deref(), Some("shop"));
}

#[test]
fn what_is_wrong_is_said_and_the_password_is_not() {
    for (text, wanted) in [
        ("redis://", "must name hosts"),
        ("redis://:hunter2@", "must name hosts"),
        ("redis://:hunter2@host:port", "must name hosts"),
        ("redis://:hunter2@host:70000", "must name hosts"),
        ("redis://:hunter2@[::1", "must name hosts"),
        ("redis://:hunter2@a,,b", "must name hosts"),
        ("redis://:hunter2@ho st", "must name hosts"),
        ("redis://:hunter2@host/shop", "by its number"),
        ("redis://:hunter2@host/-1", "by its number"),
        ("redis://:hunter2@host?prefx=a", "prefx"),
        ("redis://:hunter2@host?prefix=a&prefix=b", "twice"),
        ("redis://:hunter2@host?prefix=A-B", "prefix"),
        ("redis://:hunter2@host?prefix=", "prefix"),
        (
            "redis://:hunter2@host?prefix=1shop",
            "beginning with a letter",
        ),
        ("redis://wx:1234?hunter2@host", "written %3F"),
        ("redis://wx:1234?hunter2=1&hunter2=2@host", "twice"),
        ("redis+cluster://:hunter2@a?db=1", "has but one"),
        ("redis://:hunter2@host/1?db=2", "twice"),
        ("redis://:hunter2@host?ca_file=/ca", "rediss"),
        ("redis://:hunter2%ff@host", "UTF-8"),
        ("redis://:hunter2@host?sslmode=require", "sslmode"),
        ("redis+unix://:hunter2@host/path", "names no socket"),
        ("redis+unix://", "names no socket"),
        ("redis+sentinel://:hunter2@a,b", "names no master"),
        ("redis+sentinel://:hunter2@a,b/", "names no master"),
        ("redis+cluster://:hunter2@a/1", "has but one"),
        ("postgres://u:hunter2@host/db?sslmode=prefer", "verify-full"),
        ("postgres://u:hunter2@host/db?ca_file=/ca", "verify-full"),
    ] {
        let why = parse(text).unwrap_err();
        assert!(why.contains(wanted), "{text}: {why}");
        assert!(!why.contains("hunter2"), "{why}");
    }
    assert!(ServerUrl::parse("mysql://host").is_none());
    assert!(ServerUrl::parse("redis:host").is_none());
}

#[test]
fn it_is_shown_without_its_password() {
    for text in [
        "redis://wx@127.0.0.1:6379/2",
        "rediss://host:1",
        "redis+unix:///run/redis.sock?db=3",
        "redis+sentinel://a:1,[::1]:2/mymaster/4",
        "rediss+cluster://a:7000,b:7001",
        "postgres://wx@db:5432/shop",
        "postgres://a%40b@db:5432/a%3Fdb%3Db%25?sslmode=verify-full&ca_file=/a%26b",
        "postgres://wx@db:5432/shop?sslmode=verify-full&prefix=shop&ca_file=/ca.pem",
    ] {
        assert_eq!(parse(text).unwrap().to_string(), text);
    }
    let url = parse("redis://wx:hunter2@host:1").unwrap();
    assert_eq!(url.to_string(), "redis://wx@host:1");
    assert!(!format!("{url:?}").contains("hunter2"));
}

proptest! {
    #[test]
    fn no_password_is_shown_wherever_it_stands(
        scheme in "(rediss?(\\+(unix|sentinel|cluster))?|postgres(ql)?)://",
        rest in made_of(&[
            "~", ":~@", "wx:~@", "host", ":6379", ",", "/", "/1", "?", "&", "prefix=shop", "ca_file=/ca.pem",
            "db=2", "sslmode=verify-full", "@", "%40", "%ff", "[::1]", "master",
        ]),
        anything in any::<String>(),
    ) {
        laws::store_url(&format!("{scheme}{rest}"));
        laws::store_url(&anything);
    }
}
