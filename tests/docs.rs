//! The documents for newcomers do what they say: every block of shell and Cypher is run in order, in a folder of its
//! own, and what the document shows below a block is compared with what comes out. Blocks of Rust are tests of the
//! library's documentation. A line `...` stands for output that the document leaves out.
#![cfg(unix)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// One fenced block.
#[derive(Debug)]
struct Block {
    language: String,
    content: String,
    line: usize,
}

/// Stands in for what a reader has: `quire` on the path, and cargo. Building and installing are what has just
/// happened; the tests run already.
const SHELL: &str = r#"
quire() { "$QUIRE" "$@"; }
cargo() {
    case "$*" in
        "run --release -- "*) shift 3; "$QUIRE" "$@";;
        "install --path ." | test) ;;
        *) echo "the document runs an unexpected command: cargo $*"; exit 70;;
    esac
}
"#;

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for (number, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), open) {
            (Some(language), false) => {
                blocks.push(Block {
                    language: language.to_owned(),
                    content: String::new(),
                    line: number + 1,
                });
                open = true;
            }
            (Some(_), true) => open = false,
            (None, true) => {
                let block = blocks.last_mut().expect("a block is open");
                block.content.push_str(line);
                block.content.push('\n');
            }
            (None, false) => {}
        }
    }
    assert!(!open, "the last block is never closed");
    blocks
}

/// Runs a program in the folder; gives what it writes, on both channels.
fn run(program: &str, arguments: &[&str], input: &str, folder: &Path) -> (bool, String) {
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env("QUIRE", env!("CARGO_BIN_EXE_quire"))
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe was asked for");
    stdin.write_all(input.as_bytes()).expect("the program reads");
    drop(stdin);
    let output = child.wait_with_output().expect("the program ends");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).expect("the output is UTF-8"))
}

/// Whether the pieces between `...` lines stand in the output in their order, from its beginning to its end.
fn matches(expected: &str, output: &str) -> bool {
    let mut rest = output.trim_end();
    let pieces: Vec<&str> = expected.trim_end().split("...").map(str::trim).collect();
    for (position, piece) in pieces.iter().enumerate() {
        let Some(at) = rest.find(piece) else { return false };
        if position == 0 && at > 0 {
            return false;
        }
        rest = &rest[at + piece.len()..];
    }
    rest.is_empty() || pieces.last().is_some_and(|last| last.is_empty())
}

/// Runs a document. Its Cypher runs on the database that its shell has made under that name.
fn check(document: &str, database: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().expect("a folder can be made");
    std::os::unix::fs::symlink(root.join("examples"), folder.path().join("examples"))
        .expect("a link can be made");
    let text = std::fs::read_to_string(root.join(document)).expect("the document is there");
    let mut blocks = blocks(&text).into_iter().peekable();
    let mut run_blocks = 0;
    while let Some(block) = blocks.next() {
        let shown = blocks.next_if(|next| next.language == "text");
        let (success, output) = match block.language.as_str() {
            "sh" => {
                let script = format!("set -e\n{SHELL}{}", block.content);
                run("sh", &["-c", &script], "", folder.path())
            }
            "cypher" => run(env!("CARGO_BIN_EXE_quire"), &[database], &block.content, folder.path()),
            "rust" | "toml" => continue,
            other => panic!("{document}, line {}: nobody runs a block of {other:?}", block.line),
        };
        run_blocks += 1;
        let place = format!("{document}, line {}", block.line);
        match shown {
            Some(shown) => {
                assert!(
                    matches(&shown.content, &output),
                    "{place} shows\n{}but it is\n{output}",
                    shown.content
                );
                assert!(success || output.contains("error"), "{place} fails: {output}");
            }
            None => assert!(success, "{place} fails: {output}"),
        }
    }
    assert!(run_blocks >= 3, "{document} has only {run_blocks} blocks");
}

#[test]
fn the_front_page_holds() {
    check("README.md", "flights.quire");
}

#[test]
fn the_quickstart_holds() {
    check("quickstart.md", "people.quire");
}

/// The example can be run again and again on one database, and answers every question.
#[test]
fn the_flights_answer_every_question() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().expect("a folder can be made");
    let database = folder.path().join("flights.quire");
    let database = database.to_str().expect("temporary folders have plain names");
    let arguments =
        [database, "-f", "examples/flights/load.cypher", "-f", "examples/flights/questions.cypher"];
    let (first_success, first) = run(env!("CARGO_BIN_EXE_quire"), &arguments, "", root);
    let (second_success, second) = run(env!("CARGO_BIN_EXE_quire"), &arguments, "", root);
    assert!(first_success && second_success, "{first}\n{second}");
    assert_eq!(first, second);
    assert!((1..=9).all(|number| first.contains(&format!("\n{number}. "))), "{first}");
    assert!(!first.contains("\n0 rows"), "{first}");
    assert!(first.contains(" 122325 |"), "{first}");
}

#[test]
fn left_out_output_is_passed_over() {
    let check = |expected: &str, output: &str, result: bool| {
        assert_eq!(matches(expected, output), result, "{expected}")
    };
    check("a\nb\n", "a\nb\n\n", true);
    check("a\n", "a\nb\n", false);
    check("a\n...\n", "a\nb\n", true);
    check("...\nb\n", "a\nb\n", true);
    check("...\nb\n", "a\nc\n", false);
    check("a\n...\nc\n", "a\nb\nc\n", true);
    check("b\n...\nc\n", "a\nb\nc\n", false);
}
