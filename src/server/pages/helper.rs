//! The browser helper as it is sent: `static/wxsign.mjs` without what is only for its readers, and
//! the same as a classic script.
//!
//! Both come from the one file, here and not by a build step, so they cannot differ and the
//! project needs no JavaScript tools. The file keeps to what [`small`] understands.

const SOURCE: &str = include_str!("../../../static/wxsign.mjs");

/// For `import`.
pub(super) fn module() -> String {
    small(SOURCE)
}

/// For a plain `<script>`: in a function, with its exports in `window.wxsign`, of which the first
/// copy stays.
pub(super) fn classic() -> String {
    let body = small(SOURCE)
        .replace("import.meta.url", "page&&(document.currentScript||{}).src")
        .replace("export{", "if(page)page.wxsign=page.wxsign||{");
    format!("(()=>{{'use strict';{body}}})();")
}

/// A script without its comments and the white space that separates nothing.
///
/// Its comments have lines of their own, its statements end in `;` or `}`, its strings have single
/// quotes and none inside, and there is no space or quote in its regular expressions.
fn small(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut in_string = false;
    let mut space = false;
    for char in without_comments(source).flat_map(|line| line.chars().chain(['\n'])) {
        if !in_string && char.is_whitespace() {
            space = true;
            continue;
        }
        if space && is_word(char) && out.ends_with(is_word) {
            out.push(' ');
        }
        space = false;
        in_string ^= char == '\'';
        out.push(char);
    }
    out
}

fn without_comments(source: &str) -> impl Iterator<Item = &str> {
    let mut in_comment = false;
    source.lines().filter(move |line| {
        let line = line.trim_start();
        let starts = line.starts_with("/*");
        let dropped = in_comment || starts || line.starts_with("//");
        in_comment = (in_comment || starts) && !line.ends_with("*/");
        !dropped
    })
}

fn is_word(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '_' || char == '$'
}

#[cfg(test)]
mod tests {
    use super::{classic, module, small};

    #[test]
    fn only_what_separates_words_is_left_of_white_space() {
        let script = "/*\n * What it does.\n */\nconst a = 'two  words';\n\n// Why.\nif (a) {\n  throw a;\n}\n";
        assert_eq!(small(script), "const a='two  words';if(a){throw a;}");
    }

    #[test]
    fn the_classic_script_has_the_same_exports_and_nothing_of_a_module() {
        let (module, classic) = (module(), classic());
        let exports = module.rsplit("export").next().expect("it has exports");
        assert!(
            classic.contains(&format!("page.wxsign||{exports}")),
            "{exports}"
        );
        for word in ["import", "export"] {
            assert!(!classic.contains(word), "{word}");
        }
    }
}
