//! The applications of `tests/pages`, made as their authors would: the helper as wxsign serves it
//! put beside the source, the types checked, the bundles made by vite.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// What `tests/run` fetches from npm: vite, TypeScript, Vue and React, each with its router.
const TOOLS: &str = "tests/.cache/vite-8.3.8";

/// Those that have to be made.
const BUNDLED: [&str; 2] = ["vue", "react"];

/// A copy of `tests/pages` with the helper in it, where the tools find their packages.
pub(crate) async fn source(wxsign: &str) -> TempDir {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join(TOOLS);
    assert!(
        tools.join("whole").exists(),
        "{} is not there: `tests/run` fetches it from npm",
        tools.display()
    );
    let copy = tempfile::tempdir_in(tools).expect("the cache can be written");
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages");
    copy_folder(&pages, copy.path());
    let served = |name: &'static str| async move {
        let file = reqwest::get(format!("{wxsign}/static/{name}")).await;
        let file = file.and_then(reqwest::Response::error_for_status);
        file.expect("the file").text().await.expect("its text")
    };
    let (module, types) = (served("wxsign.mjs").await, served("wxsign.d.mts").await);
    let put = |path: String, text: &str| {
        std::fs::write(copy.path().join(path), text).expect("the cache can be written");
    };
    put("wxsign.d.ts".to_owned(), &types);
    for name in BUNDLED {
        put(format!("{name}/wxsign.mjs"), &module);
        put(format!("{name}/wxsign.d.mts"), &types);
    }
    copy
}

/// Makes those that are named, for [`super::site::Site`]: a folder with a folder for each.
pub(crate) async fn built(wxsign: &str, names: &[&str]) -> TempDir {
    let source = source(wxsign).await;
    let built = tempfile::tempdir().expect("a temporary directory");
    for name in names {
        if !BUNDLED.contains(name) {
            copy_folder(&source.path().join(name), &built.path().join(name));
            continue;
        }
        let out = built.path().join(name);
        node(
            "vite/bin/vite.js",
            &[
                "build",
                "--base",
                &format!("/{name}/"),
                "--logLevel",
                "error",
                "--outDir",
            ],
            &[&out],
            &source.path().join(name),
        );
    }
    built
}

/// Runs a script of a package of [`TOOLS`] in `folder`.
pub(crate) fn node(script: &str, arguments: &[&str], paths: &[&Path], folder: &Path) {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join(TOOLS);
    run_node(
        &tools.join("node_modules").join(script),
        arguments,
        paths,
        folder,
    );
}

/// What node prints when it runs `script` in `folder`.
pub(crate) fn run_node(
    script: &Path,
    arguments: &[&str],
    paths: &[&Path],
    folder: &Path,
) -> String {
    let output = Command::new("node")
        .arg(script)
        .args(arguments)
        .args(paths)
        .current_dir(folder)
        .output()
        .expect("node runs; `tests/run` installs it: apt-get install nodejs npm");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{} says:\n{printed}{}",
        script.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    printed
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder can be made");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path: PathBuf = entry.expect("its entry").path();
        let target = to.join(path.file_name().expect("an entry has a name"));
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("a file can be copied");
        }
    }
}
