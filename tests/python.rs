//! The module for Python: its wheel is built and its own tests run, in an environment of their own. That takes minutes
//! and needs Python, pip and a registry, so it runs only when it is asked for: `cargo test --test python -- --ignored --nocapture`.

use std::path::Path;
use std::process::Command;

/// Runs a program in a folder; an error is what it said.
fn run(folder: &Path, environment: &Path, program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env("VIRTUAL_ENV", environment)
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    if output.status.success() { Ok(said) } else { Err(format!("{program} {arguments:?}: {said}")) }
}

#[test]
#[ignore = "builds a wheel: needs Python, pip and minutes"]
fn the_module_keeps_what_its_tests_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
    let place = tempfile::tempdir().expect("a folder");
    let environment = place.path().join("venv");
    let bin = environment.join(if cfg!(windows) { "Scripts" } else { "bin" });
    let tool = |name: &str| bin.join(name).display().to_string();
    let prepared =
        run(place.path(), &environment, "python3", &["-m", "venv", &environment.display().to_string()])
            .and_then(|_| {
                run(place.path(), &environment, &tool("pip"), &["install", "-q", "maturin>=1.7,<2"])
            });
    if let Err(reason) = prepared {
        println!("skipped, no maturin can be had: {reason}");
        return;
    }
    run(&folder, &environment, &tool("maturin"), &["develop", "-q"]).expect("the wheel is built");
    let arguments = ["-m", "unittest", "discover", "-s", "tests"];
    println!("{}", run(&folder, &environment, &tool("python"), &arguments).expect("the module's tests pass"));
}
