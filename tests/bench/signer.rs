//! What a signature costs beside the SHA-1 that it cannot do without: `cargo bench --bench signer`.
//!
//! The text to sign has 252 bytes, as with WeChat's tickets and a page of usual length. A prepared
//! [`Signer`] has the first block behind it, so four are left, the padding included. Everything
//! above those four is ours: the nonce, the decimal timestamp, the copies, the digits.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails fails the benchmark"
)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use sha1::block_api::compress;
use wxsign::credential::Secret;
use wxsign::page_url::PageUrl;
use wxsign::signer::{Nonce, Signer};

/// The bytes of a block, and of the count that ends the last one behind a byte of padding.
const BLOCK: usize = 64;
const COUNT: usize = 8;

/// What is signed, in bytes.
const SIGNED: usize = 252;

/// As long as WeChat's.
const TICKET: &str =
    "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg";
const TIMESTAMP: i64 = 1_795_000_000;

fn signature(criterion: &mut Criterion) {
    let head = format!("jsapi_ticket={TICKET}&noncestr=");
    let tail = format!("{}&timestamp={TIMESTAMP}&url=", Nonce::random());
    let mut page = "https://h5.example.com/campaign?from=".to_owned();
    page += &"x".repeat(SIGNED - head.len() - tail.len() - page.len());
    let page = PageUrl::parse(&page).unwrap();
    let signer = Signer::new(&Secret::new(TICKET));

    let prepared = head.len() / BLOCK;
    let needed = (SIGNED + 1 + COUNT).div_ceil(BLOCK) - prepared;
    let blocks = vec![[0x5a; BLOCK]; needed];

    let mut group = criterion.benchmark_group("signer");
    group
        .sample_size(50)
        .measurement_time(Duration::from_secs(3));
    group.bench_function("blocks", |bencher| {
        let mut state = [0_u32; 5];
        bencher.iter(|| compress(black_box(&mut state), black_box(&blocks)));
    });
    group.bench_function("signature", |bencher| {
        bencher.iter(|| signer.sign(Nonce::random().as_str(), black_box(TIMESTAMP), page));
    });
    group.finish();
}

criterion_group!(benches, signature);
criterion_main!(benches);
