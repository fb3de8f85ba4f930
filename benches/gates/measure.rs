//! Taking turns, and the table of what came out.

use std::fmt::Debug;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What the command line asks for.
pub struct Options {
    rounds: usize,
    fail: bool,
    words: Vec<String>,
}

impl Options {
    pub fn from_arguments() -> Options {
        let mut options = Options { rounds: 25, fail: true, words: Vec::new() };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // What cargo says to every bench.
                "--bench" => {}
                "--no-fail" => options.fail = false,
                "--rounds" => {
                    let rounds = arguments.next().and_then(|text| text.parse().ok());
                    options.rounds = rounds.expect("--rounds needs a number");
                }
                word => options.words.push(word.to_owned()),
            }
        }
        options.rounds = options.rounds.max(15);
        options
    }
}

/// What quire may take, given what the other side takes.
#[derive(Clone, Copy)]
pub enum Limit {
    /// So many times as long.
    Times(f64),
    /// So many times as long and a constant for the way from text to rows.
    TimesAnd(f64, Duration),
    /// So long, whatever the other side takes.
    Below(Duration),
    /// Shown for information.
    None,
}

impl Limit {
    fn allows(self, ours: Duration, theirs: Duration) -> bool {
        match self {
            Limit::Times(factor) => ours <= theirs.mul_f64(factor),
            Limit::TimesAnd(factor, more) => ours <= theirs.mul_f64(factor) + more,
            Limit::Below(most) => ours < most,
            Limit::None => true,
        }
    }

    fn text(self) -> String {
        match self {
            Limit::Times(factor) => format!("{factor}x"),
            Limit::TimesAnd(factor, more) => format!("{factor}x + {}", time(more)),
            Limit::Below(most) => format!("< {}", time(most)),
            Limit::None => "-".to_owned(),
        }
    }
}

/// The times of one side.
#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    fn least(&self) -> Duration {
        self.0.iter().min().copied().unwrap_or_default()
    }

    fn median(&self) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }
}

struct Line {
    name: String,
    threads: usize,
    ours: Times,
    theirs: Times,
    limit: Limit,
}

impl Line {
    fn passed(&self) -> bool {
        self.limit.allows(self.ours.least(), self.theirs.least())
    }

    fn cells(&self) -> [String; 9] {
        let (ours, theirs) = (self.ours.least(), self.theirs.least());
        let verdict = match (self.limit, self.passed()) {
            (Limit::None, _) => "-",
            (_, true) => "pass",
            (_, false) => "MISSED",
        };
        [
            self.name.clone(),
            self.threads.to_string(),
            time(ours),
            time(self.ours.median()),
            time(theirs),
            time(self.theirs.median()),
            format!("{:.2}", ours.as_secs_f64() / theirs.as_secs_f64().max(1e-9)),
            self.limit.text(),
            verdict.to_owned(),
        ]
    }
}

const HEAD: [&str; 9] =
    ["gate", "threads", "quire", "(median)", "other side", "(median)", "ratio", "limit", "verdict"];

const GAINS_HEAD: [&str; 8] = [
    "gain by a second thread",
    "quire, 1",
    "quire, 2",
    "gain",
    "by hand, 1",
    "by hand, 2",
    "gain",
    "verdict",
];

fn time(duration: Duration) -> String {
    let nanos = duration.as_nanos() as f64;
    match nanos {
        ..1e4 => format!("{:.2} µs", nanos / 1e3),
        1e4..1e6 => format!("{:.0} µs", nanos / 1e3),
        _ => format!("{:.2} ms", nanos / 1e6),
    }
}

/// How long something takes, and what it gives.
pub fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let started = Instant::now();
    let result = std::hint::black_box(work());
    (started.elapsed(), result)
}

/// The times of both sides on one thread and on two.
struct Gain {
    name: String,
    ours: [Times; 2],
    theirs: [Times; 2],
}

impl Gain {
    /// How many times as fast two threads are.
    fn of(times: &[Times; 2]) -> f64 {
        times[0].least().as_secs_f64() / times[1].least().as_secs_f64().max(1e-9)
    }

    fn passed(&self) -> bool {
        Gain::of(&self.ours) >= (0.9 * Gain::of(&self.theirs)).min(1.8)
    }

    fn cells(&self) -> [String; 8] {
        let gain = |times| format!("{:.2}", Gain::of(times));
        [
            self.name.clone(),
            time(self.ours[0].least()),
            time(self.ours[1].least()),
            gain(&self.ours),
            time(self.theirs[0].least()),
            time(self.theirs[1].least()),
            gain(&self.theirs),
            if self.passed() { "pass" } else { "MISSED" }.to_owned(),
        ]
    }
}

/// Runs gates and keeps their lines.
pub struct Bench {
    options: Options,
    lines: Vec<Line>,
    gains: Vec<Gain>,
}

impl Bench {
    pub fn new(options: Options) -> Bench {
        Bench { options, lines: Vec::new(), gains: Vec::new() }
    }

    /// Whether the command line asks for a gate of this name.
    pub fn wants(&self, name: &str) -> bool {
        self.options.words.is_empty() || self.options.words.iter().any(|word| name.contains(word.as_str()))
    }

    /// Whether it may ask for gates whose names hold one of these words, or begin with them.
    pub fn wants_any(&self, words: &[&str]) -> bool {
        let asked = &self.options.words;
        let meets =
            |asked: &String| words.iter().any(|word| asked.contains(word) || word.contains(asked.as_str()));
        asked.is_empty() || asked.iter().any(meets)
    }

    /// One gate: both sides in turns, until there are enough turns and half a second has gone. Both must give the
    /// same answer every time; each times itself, so that it can prepare.
    pub fn gate<T: PartialEq + Debug>(
        &mut self,
        name: &str,
        threads: usize,
        limit: Limit,
        mut ours: impl FnMut() -> (Duration, T),
        mut theirs: impl FnMut() -> (Duration, T),
    ) {
        if !self.wants(name) {
            return;
        }
        for _ in 0..2 {
            assert_eq!(ours().1, theirs().1, "{name}: the answers differ");
        }
        let mut line =
            Line { name: name.to_owned(), threads, ours: Times::default(), theirs: Times::default(), limit };
        let started = Instant::now();
        let enough = |turns: usize| started.elapsed() > Duration::from_millis(500) || turns >= 4000;
        while line.ours.0.len() < self.options.rounds || !enough(line.ours.0.len()) {
            let ((our_time, our_answer), (their_time, their_answer)) = (ours(), theirs());
            assert_eq!(our_answer, their_answer, "{name}: the answers differ");
            line.ours.0.push(our_time);
            line.theirs.0.push(their_time);
        }
        eprintln!("{}", line.cells().join("  "));
        self.lines.push(line);
    }

    /// What a second thread gains, for both sides: all four in turns.
    pub fn gain<T: PartialEq + Debug>(
        &mut self,
        name: &str,
        ours: impl Fn(usize) -> T,
        theirs: impl Fn(usize) -> T,
    ) {
        if !self.wants(name) {
            return;
        }
        let mut gain = Gain { name: name.to_owned(), ours: Default::default(), theirs: Default::default() };
        let expected = theirs(1);
        for _ in 0..self.options.rounds {
            for threads in [1, 2] {
                let ((our_time, our_answer), (their_time, their_answer)) =
                    (timed(|| ours(threads)), timed(|| theirs(threads)));
                assert_eq!(our_answer, expected, "{name}: the answers differ");
                assert_eq!(their_answer, expected, "{name}: the answers differ");
                gain.ours[threads - 1].0.push(our_time);
                gain.theirs[threads - 1].0.push(their_time);
            }
        }
        eprintln!("{}", gain.cells().join("  "));
        self.gains.push(gain);
    }

    /// Prints the tables and says whether all gates are passed.
    pub fn finish(self) -> ExitCode {
        print_table(HEAD, self.lines.iter().map(Line::cells).collect());
        print_table(GAINS_HEAD, self.gains.iter().map(Gain::cells).collect());
        let lines = self.lines.iter().map(|line| (line.passed(), &line.name));
        let gains = self.gains.iter().map(|gain| (gain.passed(), &gain.name));
        let missed: Vec<&str> =
            lines.chain(gains).filter(|(passed, _)| !passed).map(|(_, name)| name.as_str()).collect();
        if self.lines.is_empty() && self.gains.is_empty() {
            println!("no gate has {} in its name", self.options.words.join(" or "));
            return ExitCode::FAILURE;
        }
        if missed.is_empty() {
            println!("\nall gates passed");
            return ExitCode::SUCCESS;
        }
        println!("\nmissed: {}", missed.join(", "));
        if self.options.fail { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

/// Prints a table, the first column of which is text and the others are numbers; nothing without rows.
fn print_table<const N: usize>(head: [&str; N], rows: Vec<[String; N]>) {
    if rows.is_empty() {
        return;
    }
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let print = |cells: &[String]| {
        let padded = cells.iter().enumerate().map(|(column, cell)| {
            let missing = width(column) - cell.chars().count();
            let space = " ".repeat(missing);
            if column == 0 { format!("{cell}{space}") } else { format!("{space}{cell}") }
        });
        println!("| {} |", padded.collect::<Vec<_>>().join(" | "));
    };
    print(&head.map(str::to_owned));
    let rule = |column: usize| {
        let dashes = "-".repeat(width(column).max(3) - 1);
        if column == 0 { format!("{dashes}-") } else { format!("{dashes}:") }
    };
    println!("| {} |", (0..N).map(rule).collect::<Vec<_>>().join(" | "));
    rows.iter().for_each(|row| print(row));
    println!();
}
